/** Sizes of memory: few different ones, since the host keeps an answer for each. */

const STEPS = 16;

/**
 * The size for `len` bytes: whole pages, at most a sixteenth more than asked for.
 * @param pageSize - a power of two
 */
export function memorySize(len: number, pageSize: number): number {
  const step = Math.max(pageSize, 2 ** Math.ceil(Math.log2(Math.max(len, 1))) / (2 * STEPS));
  return Math.ceil(Math.max(len, 1) / step) * step;
}
