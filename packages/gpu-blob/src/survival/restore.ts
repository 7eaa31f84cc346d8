/** Makes again what a process before had: each thing by the command that made it then. */
import { COMMANDS } from '../control/commands.ts';
import type { Gpu } from '../control/gpu.ts';
import { Request } from '../control/request.ts';
import type { OutputSize } from '../options.ts';
import { MemEntry, ResourceCreateBlob } from '../protocol/layout.ts';
import { VIRTIO_GPU_RESP_OK_NODATA } from '../protocol/values.ts';
import { Backing } from '../resources/backing.ts';
import type { Resource } from '../resources/resource.ts';
import { DETACHED, type Journal, MAP_ASKED, MAP_REFUSED, NO_RECORD } from './journal.ts';
import * as R from './records.ts';
import { Remaking } from './remaking.ts';

const NOTHING = new Uint8Array(0);
const NO_MEMORY = { fdOffset: 0, size: 0, mapInfo: 0, label: '' };
const UUID_BYTES = 16;
const decoder = new TextDecoder();

/** A device that can make things again. */
export interface RestoreGpu extends Gpu {
  remaking: Remaking | null;
}

/** Requests of a process before that are still to come again. */
export interface Unfinished {
  /** Resources that have no id any more, by the head of the chain that waits for their end. */
  readonly dropped: Map<number, Resource>;
  /** Chains that it kept when it handed over, in their order. */
  readonly kept: { readonly queueIndex: number; readonly head: number }[];
  /** Displays as the host plugged them; null: it did not. */
  outputs: readonly OutputSize[] | null;
}

/**
 * Fills a device that has nothing.
 * @param unfinished - gets what the device needs to know of
 * @returns false when something is missing: the device then has a part of it
 */
export function restoreAll(gpu: RestoreGpu, journal: Journal, unfinished: Unfinished): boolean {
  const found = journal.records.recover();
  return found !== null && new Restoration(gpu, journal, unfinished, found).run();
}

class Restoration {
  readonly #gpu: RestoreGpu;
  readonly #journal: Journal;
  readonly #byKind = new Map<number, R.Found[]>();
  readonly #resources = new Map<number, Resource>();
  readonly #unfinished: Unfinished;

  constructor(gpu: RestoreGpu, journal: Journal, unfinished: Unfinished, found: readonly R.Found[]) {
    this.#gpu = gpu;
    this.#unfinished = unfinished;
    this.#journal = journal;
    for (const one of found) {
      const known = this.#byKind.get(one.kind);
      if (known === undefined) this.#byKind.set(one.kind, [one]);
      else known.push(one);
    }
  }

  run(): boolean {
    const { files, answers } = this.#journal;
    const memories = this.#byParent(R.MEMORY);
    const backings = this.#byParent(R.BACKING);
    files.recover(this.#of(R.MEMORY).map(({ record }) => record));
    answers.takeUp(this.#of(R.ANSWER));
    const whole =
      this.#of(R.CONTEXT).every((found) => this.#context(found)) &&
      // In the order of their making: the id of one that was dropped may be another's.
      this.#of(R.RESOURCE).every((found) => this.#resource(found, memories.get(found.serial), backings)) &&
      this.#of(R.MAPPING).every((found) => this.#mapping(found));
    if (!whole) return false;
    for (const found of this.#of(R.UUID)) this.#uuid(found);
    for (const found of this.#of(R.ATTACHMENT)) this.#attachment(found);
    for (const found of this.#of(R.SCANOUT)) this.#scanout(found);
    for (const found of this.#of(R.CURSOR)) this.#cursor(found);
    for (const kind of [R.MEMORY, R.BACKING]) for (const found of this.#of(kind)) this.#needsResource(found);
    for (const { record } of this.#of(R.OUTPUTS))
      this.#unfinished.outputs = this.#journal.displays.takeUpOutputs(record);
    for (const { record, key } of this.#of(R.KEPT)) {
      this.#unfinished.kept.push({ queueIndex: this.#journal.records.get(record, R.VALUE), head: key });
      this.#journal.records.end(record);
    }
    this.#gpu.displays.refresh();
    return true;
  }

  #of(kind: number): readonly R.Found[] {
    return this.#byKind.get(kind) ?? [];
  }

  #byParent(kind: number): ReadonlyMap<number, R.Found> {
    return new Map(this.#of(kind).map((found) => [found.parent, found]));
  }

  /** The resource that a record belongs to; without one the record is none. */
  #needsResource({ record, parent }: R.Found): Resource | undefined {
    const resource = this.#resources.get(parent);
    if (resource === undefined) this.#journal.records.end(record);
    return resource;
  }

  #context({ record, key }: R.Found): boolean {
    // First: its type may ask what it remembered.
    this.#journal.takeUpContext(key, record);
    using remaking = this.#remaking(undefined);
    return this.#carryOut(remaking, key, this.#journal.records.data(record));
  }

  #resource(
    { record, serial, state, key }: R.Found,
    memory: R.Found | undefined,
    backings: ReadonlyMap<number, R.Found>,
  ): boolean {
    const gpu = this.#gpu;
    const { records } = this.#journal;
    const backing = backings.get(serial);
    const entries = backing === undefined ? NOTHING : records.data(backing.record);
    const resource = this.#make(records.data(record), key, memory, entries);
    if (resource === null) return false;
    const note = this.#journal.takeUpResource(resource, { record, serial, memory: memory?.record ?? NO_RECORD });
    this.#resources.set(serial, resource);
    if (backing !== undefined) {
      note.backing = backing.record;
      if (resource.backing === null && !attach(gpu, resource, entries)) return false;
      if (records.get(backing.record, R.VALUE) === DETACHED) resource.detach();
    }
    if (state !== R.DROPPED) return true;
    gpu.resources.remove(key);
    this.#unfinished.dropped.set(records.get(record, R.VALUE), resource);
    return true;
  }

  /** Carries out the command that made a resource. A guest blob comes with its pages. */
  #make(command: Uint8Array, key: number, memory: R.Found | undefined, entries: Uint8Array): Resource | null {
    const view = new DataView(command.buffer);
    const isBlob = command.length >= ResourceCreateBlob.byteLength;
    if (isBlob) ResourceCreateBlob.nrEntries.set(view, 0, Math.floor(entries.length / MemEntry.byteLength));
    else if (memory === undefined) return null;
    using remaking = this.#remaking(memory);
    const made = this.#carryOut(remaking, 0, command, isBlob ? entries : NOTHING);
    return made ? (this.#gpu.resources.get(key) ?? null) : null;
  }

  /** @param memory - the record of it; undefined: there is none */
  #remaking(memory: R.Found | undefined): Remaking {
    const { records, files } = this.#journal;
    const { capsets } = this.#gpu;
    if (memory === undefined) return new Remaking(capsets, null, 0, NO_MEMORY);
    const { record } = memory;
    return new Remaking(capsets, files.take(record), records.get(record, R.VALUE), {
      fdOffset: records.number(record, R.VALUE + 1),
      size: records.number(record, R.VALUE + 3),
      mapInfo: records.get(record, R.VALUE + 5),
      label: decoder.decode(records.data(record)),
    });
  }

  #mapping(found: R.Found): boolean {
    const { mappings } = this.#gpu;
    const { records } = this.#journal;
    const resource = this.#needsResource(found);
    if (resource === undefined) return true;
    const { record } = found;
    const state = records.get(record, R.VALUE);
    const shmOffset = records.number(record, R.VALUE + 1);
    const note = this.#journal.resource(resource)!;
    note.mapping = record;
    if (state === MAP_REFUSED) {
      mappings.takeUpRefused(resource);
      return true;
    }
    if (state !== MAP_ASKED) return mappings.takeUp(resource, shmOffset);
    mappings.undo(resource, shmOffset);
    return true;
  }

  #uuid(found: R.Found): void {
    const resource = this.#needsResource(found);
    if (resource === undefined) return;
    const uuid = this.#journal.records.data(found.record);
    resource.uuid = uuid.length === UUID_BYTES ? uuid : null;
    this.#journal.resource(resource)!.uuid = found.record;
  }

  #attachment({ record, parent, key }: R.Found): void {
    const { contexts } = this.#gpu;
    const journal = this.#journal;
    const serial = journal.records.number(record, R.VALUE);
    const resource = this.#resources.get(serial);
    const isOf = journal.contextSerial(key) === parent;
    if (resource === undefined || !isOf || contexts.attach(key, resource) !== VIRTIO_GPU_RESP_OK_NODATA) {
      journal.records.end(record);
      return;
    }
    journal.takeUpAttachment(key, serial, record);
  }

  /** A scanout that there is no more, since the front-end gave no display this time, is off. */
  #scanout(found: R.Found): void {
    const { record, key, parent } = found;
    if (this.#needsResource(found) === undefined) return;
    if (this.#carryOut(null, 0, this.#journal.records.data(record)))
      this.#journal.displays.takeUpScanout(key, record, parent);
    else this.#journal.records.end(record);
  }

  #cursor({ record, key }: R.Found): void {
    const { records } = this.#journal;
    const value = (index: number): number => records.get(record, R.VALUE + index);
    const shown = { x: value(0), y: value(1), hotX: value(2), hotY: value(3), image: records.data(record) };
    if (this.#gpu.displays.cursors.takeUp(key, shown)) this.#journal.displays.takeUpCursor(key, record);
    else records.end(record);
  }

  /** Carries out a command again. @returns false when it is refused now */
  #carryOut(remaking: Remaking | null, ctxId: number, ...parts: readonly Uint8Array[]): boolean {
    const gpu = this.#gpu;
    const length = gpu.buffer.fill(...parts);
    const { view } = gpu.buffer;
    const request = new Request();
    request.read(view, length);
    if (ctxId !== 0) request.ctxId = ctxId;
    const command = COMMANDS.get(request.type);
    if (command === undefined || length < command.length) return false;
    gpu.remaking = remaking;
    try {
      return command.handle(gpu, request, view) === VIRTIO_GPU_RESP_OK_NODATA;
    } finally {
      gpu.remaking = null;
    }
  }
}

function attach(gpu: Gpu, resource: Resource, entries: Uint8Array): boolean {
  const count = Math.floor(Math.floor(entries.length / MemEntry.byteLength));
  const words = new Uint32Array(entries.buffer, 0, count * (MemEntry.byteLength / 4));
  const backing = Backing.of(gpu.host.memory, words, count);
  return backing !== null && resource.attach(backing) === VIRTIO_GPU_RESP_OK_NODATA;
}
