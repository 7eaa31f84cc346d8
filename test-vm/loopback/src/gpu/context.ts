/** A context of a guest program. */
import {
  encodeCtxAttachResource,
  encodeCtxDestroy,
  encodeCtxDetachResource,
  encodeSubmit3d,
} from '@oriel/gpu-blob/testing';
import type { GpuBlob } from './blob.ts';
import type { GpuChannel, PendingCommand } from './channel.ts';
import type { Fences } from './fences.ts';

/** Waits for each answer, and throws LoopbackError ERR_LOOPBACK_REFUSED with the `status`. */
export class GpuContext {
  readonly id: number;
  readonly #control: GpuChannel;
  readonly #fences: Fences;

  constructor(control: GpuChannel, fences: Fences, id: number) {
    this.#control = control;
    this.#fences = fences;
    this.id = id;
  }

  attach(blob: Pick<GpuBlob, 'resourceId'>): void {
    this.#control.must(encodeCtxAttachResource(blob.resourceId, { ctxId: this.id }));
  }

  detach(blob: Pick<GpuBlob, 'resourceId'>): void {
    this.#control.must(encodeCtxDetachResource(blob.resourceId, { ctxId: this.id }));
  }

  submit(commands: Uint8Array): void {
    this.#control.must(encodeSubmit3d(commands, { ctxId: this.id }));
  }

  /** Submits with a fence on a ring (absent: the global timeline) and does not wait. */
  submitFenced(commands: Uint8Array, ringIdx?: number): PendingCommand {
    const fence = this.#fences.next(ringIdx);
    return this.#control.send(encodeSubmit3d(commands, { ctxId: this.id, fence }));
  }

  destroy(): void {
    this.#control.must(encodeCtxDestroy({ ctxId: this.id }));
  }
}
