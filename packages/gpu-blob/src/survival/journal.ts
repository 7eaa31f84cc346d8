/**
 * The journal of a session: what another process needs to go on with it. It says what there is, not what happened: a record is
 * the command that made a thing, so that the thing is made again by that command (`restore.ts`). What a command changes and
 * its answer count together, or not at all.
 */
import type { Logger, Sys } from '@oriel/sys';
import type { StateMemory } from '@oriel/virtio-device';
import type { ContextMemo } from '../contexts/contexts.ts';
import type { Request } from '../control/request.ts';
import type { Resource } from '../resources/resource.ts';
import { Answers } from './answers.ts';
import { DisplayNotes } from './display-notes.ts';
import { KeptFiles } from './kept-files.ts';
import * as R from './records.ts';

/** Of a mapping, its first value: asked for and not answered, there, or refused. Its offset in the window follows. */
export const MAP_ASKED = 1;
export const MAP_THERE = 2;
export const MAP_REFUSED = 3;

/** The first value of a backing whose pages were detached: a guest blob cannot be made without any. */
export const DETACHED = 1;
export const NO_RECORD = -1;

/** Records of one resource, -1: none. */
export interface ResourceNote {
  readonly record: number;
  readonly serial: number;
  readonly memory: number;
  backing: number;
  mapping: number;
  uuid: number;
}

interface ContextNote {
  readonly record: number;
  readonly serial: number;
  /** By the serial number of the resource. */
  readonly attached: Map<number, number>;
}

/** One session's journal. */
export class Journal implements ContextMemo {
  readonly records: R.Records;
  readonly files: KeptFiles;
  readonly answers: Answers;
  readonly displays: DisplayNotes;
  readonly #log: Logger;
  readonly #resources = new Map<Resource, ResourceNote>();
  readonly #contexts = new Map<number, ContextNote>();
  /** Records that are of no account behind the next commit. */
  #orphans: number[] = [];
  #told = false;

  constructor(state: StateMemory, sys: Pick<Sys, 'fd'>, log: Logger) {
    this.records = new R.Records(state.bytes);
    this.files = new KeptFiles(state, this.records, sys.fd);
    this.answers = new Answers(this.records);
    this.displays = new DisplayNotes(this.records, () => this.commit());
    this.#log = log;
  }

  /** The session cannot be gone on with by another process any more. */
  lose(reason: string): void {
    this.records.fail(reason);
    this.#tell();
  }

  /** Makes all that was noted count. */
  commit(): void {
    const { records } = this;
    records.commit();
    this.files.dropped();
    for (const record of this.#orphans.splice(0)) records.end(record);
    if (records.failed !== null) this.#tell();
  }

  /** The process hands over: requests that wait are found again by the next one, also where nobody shares in-flight memory. */
  keepRequests(requests: Iterable<Request>): void {
    for (const { queueIndex, head } of requests) {
      this.records.add({ kind: R.KEPT, key: head, values: [queueIndex] });
      this.commit();
    }
  }

  /** What is known of a resource. */
  resource(resource: Resource): ResourceNote | undefined {
    return this.#resources.get(resource);
  }

  /** A resource was made. @param command - its first part, without guest pages @param capsetId - of whoever made its memory */
  resourceMade(resource: Resource, command: Uint8Array, capsetId: number): void {
    const { records } = this;
    const record = records.add({ kind: R.RESOURCE, key: resource.id, data: command });
    const serial = records.serial(record);
    const memory = this.#memoryMade(resource, serial, capsetId);
    this.takeUpResource(resource, { record, serial, memory });
  }

  /** A record of a process before is of this resource. */
  takeUpResource(resource: Resource, of: Pick<ResourceNote, 'record' | 'serial' | 'memory'>): ResourceNote {
    const note = { ...of, backing: NO_RECORD, mapping: NO_RECORD, uuid: NO_RECORD };
    this.#resources.set(resource, note);
    return note;
  }

  /** @param entries - of the guest's pages, as they came */
  backingMade(resource: Resource, entries: Uint8Array): void {
    const note = this.#resources.get(resource);
    if (note === undefined) return;
    if (note.backing !== NO_RECORD) this.records.stageEnd(note.backing);
    note.backing = this.#child(R.BACKING, note, entries);
  }

  backingGone(resource: Resource): void {
    const note = this.#resources.get(resource);
    if (note !== undefined && note.backing !== NO_RECORD) this.records.stage(note.backing, R.VALUE, DETACHED);
  }

  uuidMade(resource: Resource): void {
    const note = this.#resources.get(resource);
    if (note !== undefined && note.uuid === NO_RECORD) note.uuid = this.#child(R.UUID, note, resource.uuid!);
  }

  /** Its id is free, its mapping not gone yet: told at once. @param head - of the chain that waits for that */
  resourceDropped(resource: Resource, head: number): void {
    const note = this.#resources.get(resource);
    if (note === undefined) return;
    this.records.set(note.record, R.VALUE, head);
    this.records.stage(note.record, R.STATE, R.DROPPED);
    this.#forget(note.serial);
    this.commit();
  }

  resourceGone(resource: Resource): void {
    const { records } = this;
    const note = this.#resources.get(resource);
    if (note === undefined) return;
    this.#resources.delete(resource);
    records.stageEnd(note.record);
    if (note.memory !== NO_RECORD) {
      this.#orphans.push(note.memory);
      this.files.stageDrop(note.memory);
    }
    for (const child of [note.backing, note.mapping, note.uuid]) if (child !== NO_RECORD) this.#orphans.push(child);
    this.#forget(note.serial);
  }

  /** A mapping is about to be asked for: told at once. */
  mappingAsked(resource: Resource, shmOffset: number): void {
    const note = this.#resources.get(resource);
    if (note === undefined) return;
    this.#mappingEnds(note);
    note.mapping = this.#child(R.MAPPING, note, undefined, [MAP_ASKED, ...R.parts(shmOffset)]);
    this.commit();
  }

  /** What became of a mapping. @param state - null: there is none */
  mappingIs(resource: Resource, state: typeof MAP_THERE | typeof MAP_REFUSED | null): void {
    const note = this.#resources.get(resource);
    if (note === undefined) return;
    if (state === null) this.#mappingEnds(note);
    else if (note.mapping === NO_RECORD) note.mapping = this.#child(R.MAPPING, note, undefined, [state]);
    else this.records.stage(note.mapping, R.VALUE, state);
  }

  contextMade(ctxId: number, command: Uint8Array): void {
    const record = this.records.add({ kind: R.CONTEXT, key: ctxId, data: command });
    this.takeUpContext(ctxId, record);
  }

  /** The serial number of a context; 0: there is none. */
  contextSerial(ctxId: number): number {
    return this.#contexts.get(ctxId)?.serial ?? 0;
  }

  takeUpContext(ctxId: number, record: number): void {
    this.#contexts.set(ctxId, { record, serial: this.records.serial(record), attached: new Map() });
  }

  remember(ctxId: number, place: number, value: number): void {
    const note = this.#contexts.get(ctxId);
    if (note !== undefined) this.records.set(note.record, R.VALUE + placeOf(place), value);
  }

  recall(ctxId: number, place: number): number {
    const record = this.#contexts.get(ctxId)?.record ?? NO_RECORD;
    return record === NO_RECORD ? 0 : this.records.get(record, R.VALUE + placeOf(place));
  }

  contextGone(ctxId: number): void {
    const note = this.#contexts.get(ctxId);
    if (note === undefined) return;
    this.#contexts.delete(ctxId);
    this.records.stageEnd(note.record);
    this.#orphans.push(...note.attached.values());
  }

  attached(ctxId: number, resource: Resource): void {
    const context = this.#contexts.get(ctxId);
    const of = this.#resources.get(resource);
    if (context === undefined || of === undefined || context.attached.has(of.serial)) return;
    const values = R.parts(of.serial);
    const record = this.records.add({ kind: R.ATTACHMENT, key: ctxId, parent: context.serial, values });
    context.attached.set(of.serial, record);
  }

  takeUpAttachment(ctxId: number, serial: number, record: number): void {
    this.#contexts.get(ctxId)?.attached.set(serial, record);
  }

  detached(ctxId: number, resource: Resource): void {
    const attached = this.#contexts.get(ctxId)?.attached;
    const serial = this.#resources.get(resource)?.serial ?? 0;
    const record = attached?.get(serial);
    if (record === undefined) return;
    attached!.delete(serial);
    this.records.stageEnd(record);
  }

  #child(kind: number, { serial }: ResourceNote, data?: Uint8Array, values: readonly number[] = []): number {
    return this.records.add({ kind, key: 0, parent: serial, values, ...(data === undefined ? {} : { data }) });
  }

  #memoryMade({ pixels, host }: Resource, parent: number, capsetId: number): number {
    const fd = pixels === null ? host?.fd : pixels.fd;
    if (fd === undefined) return NO_RECORD;
    const values = host === null ? [] : [capsetId, ...R.parts(host.fdOffset), ...R.parts(host.size), host.mapInfo];
    const data = new TextEncoder().encode(host?.label ?? '');
    const record = this.records.add({ kind: R.MEMORY, key: 0, parent, values, data });
    this.files.keep(record, fd);
    pixels?.releaseFile();
    return record;
  }

  #mappingEnds(note: ResourceNote): void {
    if (note.mapping === NO_RECORD) return;
    this.records.stageEnd(note.mapping);
    note.mapping = NO_RECORD;
  }

  /** A resource has no id any more: nothing shows it, no context has it. */
  #forget(serial: number): void {
    this.#orphans.push(...this.displays.forget(serial));
    for (const { attached } of this.#contexts.values()) {
      const record = attached.get(serial);
      if (record === undefined) continue;
      attached.delete(serial);
      this.#orphans.push(record);
    }
  }

  #tell(): void {
    if (this.#told) return;
    this.#told = true;
    this.files.forgetAll();
    this.#log.warn(`gpu: ${this.records.failed}, so the session ends with this process`);
  }
}

function placeOf(place: number): number {
  if (!Number.isInteger(place) || place < 0 || place >= R.VALUES) {
    throw new RangeError(`place ${place}, want 0 to ${R.VALUES - 1}`);
  }
  return place;
}
