/** Small copies between a region and private memory. */
import type { MemoryRegion } from '@oriel/guest-memory';
import { EFAULT } from '@oriel/sys';

/** Up to here, which a reply with attributes fits, a loop over words beats `set(subarray())`, whose objects cost about 45 ns. */
const LOOP_BYTES = 192;
/** Offsets below this fit 32 bits. */
const WORD_SHIFT_END = 2 ** 32;

/** The words of the private array that was used last in one direction: a device mostly has one for its headers. */
class WordsOf {
  /** The array whose words these are. */
  bytes: Uint8Array | null = null;
  words: Uint32Array = new Uint32Array(0);
  #before: Uint8Array | null = null;

  /** True when `words` are those of `bytes`, from its first byte on. Looked for when it is used a second time in a row. */
  find(bytes: Uint8Array): boolean {
    if (this.#before !== bytes || (bytes.byteOffset & 3) !== 0) {
      this.#before = bytes;
      return false;
    }
    this.bytes = bytes;
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
    return true;
  }
}

const targets = new WordsOf();
const sources = new WordsOf();

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
  if ((toOffset & 3) === 0 && (targets.bytes === to || targets.find(to))) {
    const target = targets.words;
    for (let i = t >>> 2, end = wordsEnd >>> 2; i < end; i++) target[i] = words[word++]!;
    t = wordsEnd;
  }
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
  if ((fromOffset & 3) === 0 && (sources.bytes === from || sources.find(from))) {
    const source = sources.words;
    for (let i = f >>> 2, end = wordsEnd >>> 2; i < end; i++) words[word++] = source[i]!;
    f = wordsEnd;
  }
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
