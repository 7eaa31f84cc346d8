/** Numbers of fences: one counter for all timelines, as Linux has it. */
import type { GpuFence } from '@oriel/gpu-blob/testing';

const TWO_32 = 0x1_0000_0000;

export class Fences {
  #id = 0;

  /** @param ringIdx - a ring of the command's context; absent: the global timeline */
  next(ringIdx?: number): GpuFence {
    this.#id++;
    const id = { idLo: this.#id % TWO_32, idHi: Math.floor(this.#id / TWO_32) };
    return ringIdx === undefined ? id : { ...id, ringIdx };
  }
}
