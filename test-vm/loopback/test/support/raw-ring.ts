/** Writes into a ring what no driver should. */
import {
  layoutSplitRing,
  VirtqAvail,
  VirtqDesc,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from '@oriel/virtqueue';
import type { GuestQueue, LoopbackVm } from '../../src/index.ts';

export const NEXT = VRING_DESC_F_NEXT;
export const WRITE = VRING_DESC_F_WRITE;
export const INDIRECT = VRING_DESC_F_INDIRECT;

/** A descriptor as it is written. */
export interface RawDescriptor {
  readonly addr: number;
  readonly len: number;
  readonly flags?: number;
  readonly next?: number;
}

const HEAD_BYTES = 2;

/** The ring of a queue that nobody used yet. */
export class RawRing {
  readonly #queue: GuestQueue;
  readonly #view: DataView;
  readonly #availAt: number;

  constructor({ ram }: LoopbackVm, queue: GuestQueue) {
    const { avail, total } = layoutSplitRing(queue.size);
    const bytes = ram.at(queue.ringGpa, total);
    this.#queue = queue;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, total);
    this.#availAt = avail;
  }

  /** Fills the first descriptors of the table. */
  describe(...descriptors: RawDescriptor[]): this {
    for (const [index, descriptor] of descriptors.entries()) {
      writeDescriptor(this.#view, index * VirtqDesc.byteLength, descriptor);
    }
    return this;
  }

  /** Makes heads available, sets the index to `idx` and kicks. */
  publish(heads: readonly number[], idx = heads.length): void {
    for (const [index, head] of heads.entries()) {
      this.#view.setUint16(this.#availAt + VirtqAvail.byteLength + index * HEAD_BYTES, head, true);
    }
    VirtqAvail.idx.set(this.#view, this.#availAt, idx);
    this.#queue.kick();
  }
}

/** Writes a descriptor at byte `at`: into a table of its own, for instance. */
export function writeDescriptor(view: DataView, at: number, descriptor: RawDescriptor): void {
  VirtqDesc.addr.set(view, at, descriptor.addr);
  VirtqDesc.len.set(view, at, descriptor.len);
  VirtqDesc.flags.set(view, at, descriptor.flags ?? 0);
  VirtqDesc.next.set(view, at, descriptor.next ?? 0);
}
