/** The words that both sides expect in blobs and pictures; probes/pattern.h is the guest's copy. */

/** Salt of pictures and of cursor images, as the `kms` probe has them. */
const PICTURE = 1;
const CURSOR = 2;
/** Words from one row of a picture to the next. */
const ROW = 65_536;
const CURSOR_SIZE = 64;

function seedOf(id: number, salt: number): number {
  const seed = (Math.imul(id, 0x9e3779b1) + Math.imul(salt, 0x85ebca77)) | 0;
  return Math.imul(seed ^ (seed >>> 13), 0xc2b2ae3d);
}

function wordAt(seed: number, index: number): number {
  let word = (seed + Math.imul(index, 0x9e3779b1)) | 0;
  word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  return (word ^ (word >>> 15)) >>> 0;
}

/** Fills memory with a blob's pattern, from its beginning. */
export function fillPattern(words: Uint32Array, id: number, salt: number): void {
  const seed = seedOf(id, salt);
  for (let i = 0; i < words.length; i++) words[i] = wordAt(seed, i);
}

/** The byte offset of the first word that is not as {@link fillPattern} leaves it, or undefined. */
export function findWrong(words: Uint32Array, id: number, salt: number): number | undefined {
  const seed = seedOf(id, salt);
  for (let i = 0; i < words.length; i++) if (words[i] !== wordAt(seed, i)) return i * 4;
  return undefined;
}

/** One pixel of a picture as 0xRRGGBB. */
export function picturePixel(seed: number, x: number, y: number): number {
  return wordAt(seedOf(seed, PICTURE), y * ROW + x) & 0xffffff;
}

/** One pixel of a cursor image (opaque) as 0xRRGGBB. */
export function cursorPixel(seed: number, x: number, y: number): number {
  return wordAt(seedOf(seed, CURSOR), y * CURSOR_SIZE + x) & 0xffffff;
}
