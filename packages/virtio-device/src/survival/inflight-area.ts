/** The area of a ring in the in-flight memory (vhost-user, INFLIGHT_SHMFD), as it is found at the start of the ring. */
import type { RingSetup } from '@oriel/vhost-user';
import type { RingQueue } from '@oriel/virtqueue';

/** `version`, a u16 at the same place in the areas of both ring formats; 0 before a queue had it. */
const VERSION_AT = 8;
/** `used_idx` of a split ring's. */
const SPLIT_USED_AT = 14;

/** Entries of a packed ring's, and `num` in each: never 0 again once a chain was there. */
const PACKED_ENTRIES_AT = 32;
const PACKED_ENTRY_BYTES = 32;
const PACKED_NUM_AT = 6;

/** What stands in the area before the queue of this start has it. */
export class FoundArea {
  readonly #inUse: boolean;
  readonly #splitUsed: number;
  /** No chain was ever taken, if it is a packed ring's. */
  readonly #packedUnused: boolean;

  constructor(area: Uint8Array | null) {
    this.#inUse = area !== null && u16(area, VERSION_AT) !== 0;
    this.#splitUsed = area === null ? 0 : u16(area, SPLIT_USED_AT);
    this.#packedUnused = area === null || isPackedUnused(area);
  }

  /**
   * True when the driver of the queue that had the area goes on. A new driver's is all zero; but a front-end may leave it the old
   * one, which shows where the ring is at its beginning and the area is not.
   * @param freshBase - where a new ring begins
   */
  isOf(queue: RingQueue, { base }: Pick<RingSetup, 'base'>, freshBase: number): boolean {
    if (!this.#inUse || base !== freshBase || queue.outstanding > 0 || queue.base !== freshBase) {
      return this.#inUse;
    }
    // A kill may leave the area's index of a split ring one behind.
    return freshBase === 0 ? this.#splitUsed === 0 || this.#splitUsed === 0xffff : this.#packedUnused || !queue.blank;
  }
}

function isPackedUnused(area: Uint8Array): boolean {
  for (let at = PACKED_ENTRIES_AT + PACKED_NUM_AT; at < area.length; at += PACKED_ENTRY_BYTES) {
    if (u16(area, at) !== 0) return false;
  }
  return true;
}

function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}
