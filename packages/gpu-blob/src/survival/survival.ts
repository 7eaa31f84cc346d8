/** The device's side of survival: its journal while a session has one, and what a process before left unfinished. */
import type { Logger } from '@oriel/sys';
import type { DeviceHost } from '@oriel/virtio-device';
import type { Request } from '../control/request.ts';
import type { Requests } from '../control/requests.ts';
import type { OutputSize } from '../options.ts';
import { UpdateCursor } from '../protocol/layout.ts';
import { CONTROL_QUEUE, VIRTIO_GPU_CMD_MOVE_CURSOR, VIRTIO_GPU_CMD_RESOURCE_UNREF } from '../protocol/values.ts';
import type { Resource } from '../resources/resource.ts';
import type { KnownAnswer } from './answers.ts';
import { Journal } from './journal.ts';
import { noteFinished } from './notes.ts';
import { type RestoreGpu, restoreAll, type Unfinished } from './restore.ts';

/** Does nothing where the host gives no state memory. */
export class Survival {
  readonly #gpu: RestoreGpu;
  readonly #requests: Requests;
  readonly #log: Logger;
  #journal: Journal | null = null;
  /** Until the requests of a process before have come again; null: they all have. */
  #unfinished: Unfinished | null = null;
  /** As the host plugged them in this process, which every session of it begins with. */
  #outputs: readonly OutputSize[] | null = null;

  constructor(gpu: RestoreGpu, requests: Requests, log: Logger) {
    this.#gpu = gpu;
    this.#requests = requests;
    this.#log = log;
  }

  /** Fills the device with what a process before had. @returns false when that is lost: the device then has a part of it */
  restore(host: DeviceHost): boolean {
    const journal = this.#make(host);
    if (journal === null) return false;
    this.#unfinished = { dropped: new Map(), kept: [], outputs: null };
    this.#gpu.contexts.memo = journal;
    if (!restoreAll(this.#gpu, journal, this.#unfinished)) return false;
    this.#use(journal);
    return true;
  }

  /** A queue starts: a session begins, or goes on. */
  open(host: DeviceHost): void {
    if (this.#journal !== null) return;
    const journal = this.#make(host);
    if (journal === null) return;
    journal.records.begin();
    this.#use(journal);
    if (this.#outputs !== null) journal.displays.outputsSet(this.#outputs);
  }

  /** The process hands over. */
  save(): void {
    this.#journal?.keepRequests(this.#requests.waiting(() => true));
  }

  /**
   * The device is emptied. What stands in the state is the next process's, or was cleared.
   * @returns resources without an id that no request came for, given away
   */
  close(): readonly Resource[] {
    const dropped = [...(this.#unfinished?.dropped.values() ?? [])];
    this.#unfinished = null;
    this.#use(null);
    return dropped;
  }

  /** Chains that a process before kept when it handed over. */
  keptBy(index: number): readonly number[] {
    const kept = this.#unfinished?.kept.filter(({ queueIndex }) => queueIndex === index) ?? [];
    return kept.map(({ head }) => head);
  }

  /** How a process before answered a request; null: it did not. */
  answerOf(request: Request): KnownAnswer | null {
    return request.again && request.queueIndex === CONTROL_QUEUE ? (this.#journal?.answers.of(request) ?? null) : null;
  }

  /** The resource that a process before took the id from, for this request. */
  takeDropped({ again, type, head }: Request): Resource | undefined {
    if (!again || type !== VIRTIO_GPU_CMD_RESOURCE_UNREF) return undefined;
    const dropped = this.#unfinished?.dropped.get(head);
    this.#unfinished?.dropped.delete(head);
    return dropped;
  }

  /** The requests of a process before have all come again: what none of them knows of has been answered. */
  settle(index: number): void {
    if (this.#unfinished === null || index !== CONTROL_QUEUE) return;
    const dropped = [...this.#unfinished.dropped.values()];
    this.#unfinished = null;
    const journal = this.#journal;
    journal?.answers.sweep(this.#requests.heads(CONTROL_QUEUE));
    for (const resource of dropped) {
      this.#gpu.mappings.drop(resource, () => {
        journal?.resourceGone(resource);
        journal?.commit();
      });
    }
  }

  /** A request waits for its end. */
  pending({ type, head, resource }: Request): void {
    if (type === VIRTIO_GPU_CMD_RESOURCE_UNREF && resource !== null) this.#journal?.resourceDropped(resource, head);
  }

  /** A request was carried out, or refused; it is not answered yet. */
  finished(request: Request, status: number): void {
    if (this.#journal !== null) noteFinished(this.#journal, this.#gpu, request, status);
  }

  /** A command of the cursor queue was carried out. */
  cursorChanged({ type }: Request, view: DataView): void {
    if (this.#journal === null) return;
    const scanout = UpdateCursor.scanoutId.get(view, 0);
    const shown = this.#gpu.displays.cursors.shown(scanout);
    this.#journal.displays.cursorIs(scanout, shown, type === VIRTIO_GPU_CMD_MOVE_CURSOR);
  }

  /** The host plugged displays. */
  outputsSet(sizes: readonly OutputSize[]): void {
    this.#outputs = sizes;
    this.#journal?.displays.outputsSet(sizes);
  }

  /** What `outputsSet` was told in a process before; null: nothing, or it was asked for before. */
  takeOutputs(): readonly OutputSize[] | null {
    const outputs = this.#unfinished?.outputs ?? null;
    if (this.#unfinished !== null) this.#unfinished.outputs = null;
    return outputs;
  }

  /** A mapping is about to be asked for. */
  mappingAsked(resource: Resource, shmOffset: number): void {
    this.#journal?.mappingAsked(resource, shmOffset);
  }

  #make({ sys, state }: DeviceHost): Journal | null {
    return state === null ? null : new Journal(state, sys, this.#log);
  }

  #use(journal: Journal | null): void {
    this.#journal = journal;
    this.#requests.answers = journal?.answers ?? null;
    this.#gpu.contexts.memo = journal;
    this.#gpu.resources.inFiles = journal !== null;
  }
}
