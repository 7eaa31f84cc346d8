/** The guest pages of a resource: a scatter list over guest memory. */
import type { GuestMemory } from '@oriel/guest-memory';
import { fromParts, rangeFits, UNSAFE_HI } from '@oriel/layout';
import { EFAULT, EINVAL } from '@oriel/sys';
import type { GuestPages } from '../render/renderer.ts';

/** Of `struct virtio_gpu_mem_entry`: address (low, high), length, padding. */
const WORDS_PER_ENTRY = 4;

/**
 * Guest physical ranges in the driver's order, seen as one row of bytes. Regions are looked up by address at each copy, so
 * a memory table that changed is no danger: what left it answers -EFAULT, what came back is found.
 */
export class Backing implements GuestPages {
  /** Bytes. */
  readonly size: number;
  /** Ranges kept, neighbours joined: each costs 16 bytes of host memory. */
  readonly ranges: number;
  readonly #memory: GuestMemory;
  /** Guest physical address of each range. */
  readonly #gpas: Float64Array;
  /** Where each range begins in the row of bytes; one more, the size, at the end. */
  readonly #starts: Float64Array;
  /** The range of the last hit: copies come in rising order. */
  #last = 0;

  private constructor(memory: GuestMemory, gpas: Float64Array, starts: Float64Array) {
    this.#memory = memory;
    this.#gpas = gpas;
    this.#starts = starts;
    this.ranges = gpas.length;
    this.size = starts[gpas.length]!;
  }

  /**
   * @param words - a private copy of `count` struct virtio_gpu_mem_entry, four u32 each; not kept
   * @returns null when an entry is not wholly in guest memory. Entries of no bytes are left out, whatever their address.
   * @throws RangeError when `words` is too short for `count`
   */
  static of(memory: GuestMemory, words: Uint32Array, count: number): Backing | null {
    if (words.length < count * WORDS_PER_ENTRY) {
      throw new RangeError(`${words.length} words for ${count} entries`);
    }
    const gpas = new Float64Array(count);
    const starts = new Float64Array(count + 1);
    let ranges = 0;
    let size = 0;
    let end = -1;
    for (let i = 0; i < count; i++) {
      const word = i * WORDS_PER_ENTRY;
      const len = words[word + 2]!;
      if (len === 0) continue;
      if (words[word + 1]! >= UNSAFE_HI) return null;
      const gpa = fromParts(words[word]!, words[word + 1]!);
      if (!covered(memory, gpa, len)) return null;
      if (gpa !== end) {
        gpas[ranges] = gpa;
        starts[ranges] = size;
        ranges++;
      }
      end = gpa + len;
      size += len;
      if (!Number.isSafeInteger(size)) return null;
    }
    starts[ranges] = size;
    return new Backing(memory, gpas.slice(0, ranges), starts.slice(0, ranges + 1));
  }

  /**
   * Copies bytes [offset, offset + len) to private memory.
   * @returns 0; -EINVAL outside of the pages; -EFAULT when guest memory is gone, `to` then holds a part
   * @throws RangeError when `to` has no room
   */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    return this.#copy(offset, to, toOffset, len, false);
  }

  /**
   * Copies private memory to bytes [offset, offset + len).
   * @returns 0; -EINVAL outside of the pages; -EFAULT when guest memory is gone, the pages then hold a part
   * @throws RangeError when `from` is too short
   */
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number {
    return this.#copy(offset, from, fromOffset, len, true);
  }

  #copy(offset: number, bytes: Uint8Array, bytesOffset: number, len: number, toGuest: boolean): number {
    if (!rangeFits(offset, len, this.size)) return -EINVAL;
    if (!rangeFits(bytesOffset, len, bytes.length)) {
      throw new RangeError(`${len} bytes at ${bytesOffset} of a buffer of ${bytes.length}`);
    }
    if (len === 0) return 0;
    let range = this.#find(offset);
    for (let done = 0; done < len; ) {
      const at = offset + done;
      const start = this.#starts[range]!;
      const rest = Math.min(this.#starts[range + 1]! - at, len - done);
      const gpa = this.#gpas[range]! + (at - start);
      const region = this.#memory.find(gpa);
      if (region === null) return -EFAULT;
      const inRegion = gpa - region.gpa;
      const part = Math.min(rest, region.size - inRegion);
      const error = toGuest
        ? region.write(inRegion, bytes, bytesOffset + done, part)
        : region.read(inRegion, bytes, bytesOffset + done, part);
      if (error !== 0) return error;
      done += part;
      this.#last = range;
      // Neighbouring regions can share a range.
      if (part === this.#starts[range + 1]! - at) range++;
    }
    return 0;
  }

  /** The range that holds `offset`, which is below the size. */
  #find(offset: number): number {
    const starts = this.#starts;
    const last = this.#last;
    if (offset >= starts[last]!) {
      if (offset < starts[last + 1]!) return last;
      if (offset < starts[last + 2]!) return last + 1;
    }
    let low = 0;
    let high = this.ranges;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** True when regions hold all of [gpa, gpa + len), one after the other. */
function covered(memory: GuestMemory, gpa: number, len: number): boolean {
  const end = gpa + len;
  for (let at = gpa; at < end; ) {
    const region = memory.find(at);
    if (region === null) return false;
    at = region.gpa + region.size;
  }
  return true;
}
