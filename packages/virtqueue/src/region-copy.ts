/** Small copies between a region and private memory. */
import type { MemoryRegion } from '@oriel/guest-memory';
import { EFAULT } from '@oriel/sys';

/** Up to here a loop over words beats `set(subarray())`, whose two objects cost about 45 ns. */
const LOOP_BYTES = 64;
/** Offsets below this fit 32 bits. */
const WORD_SHIFT_END = 2 ** 32;

/** Copies region bytes [offset, offset + len) out. The range lies in the region. @returns 0 or -EFAULT */
export function copyFromRegion(
  region: MemoryRegion,
  offset: number,
  to: Uint8Array,
  toOffset: number,
  len: number,
): number {
  if (len > LOOP_BYTES || !region.direct || (offset & 3) !== 0) return region.read(offset, to, toOffset, len);
  if (!region.live) return -EFAULT;
  const words = region.u32;
  const tail = len & 3;
  const wordsEnd = toOffset + len - tail;
  let word = wordIndex(offset);
  let t = toOffset;
  for (; t < wordsEnd; t += 4) {
    const value = words[word++]!;
    to[t] = value;
    to[t + 1] = value >>> 8;
    to[t + 2] = value >>> 16;
    to[t + 3] = value >>> 24;
  }
  if (tail !== 0) {
    const bytes = region.u8;
    const from = offset + len - tail;
    for (let i = 0; i < tail; i++) to[t + i] = bytes[from + i]!;
  }
  return 0;
}

/** Copies private memory to region bytes [offset, offset + len). The range lies in the region. @returns 0 or -EFAULT */
export function copyToRegion(
  region: MemoryRegion,
  offset: number,
  from: Uint8Array,
  fromOffset: number,
  len: number,
): number {
  if (len > LOOP_BYTES || !region.direct || (offset & 3) !== 0) return region.write(offset, from, fromOffset, len);
  if (!region.live) return -EFAULT;
  const words = region.u32;
  const tail = len & 3;
  const wordsEnd = fromOffset + len - tail;
  let word = wordIndex(offset);
  let f = fromOffset;
  for (; f < wordsEnd; f += 4) {
    words[word++] = from[f]! | (from[f + 1]! << 8) | (from[f + 2]! << 16) | (from[f + 3]! << 24);
  }
  if (tail !== 0) {
    const bytes = region.u8;
    const to = offset + len - tail;
    for (let i = 0; i < tail; i++) bytes[to + i] = from[f + i]!;
  }
  return 0;
}

/** A shift keeps the index a machine integer; above 4 GiB it must be a division. */
function wordIndex(offset: number): number {
  return offset < WORD_SHIFT_END ? offset >>> 2 : offset / 4;
}
