/** 64-bit fields of a request, checked once: a value above 2^53 - 1 is refused, never rounded. */
import { TWO_32, UNSAFE_HI } from '@oriel/layout';

/** Returned for a value that is no safe integer. */
export const UNSAFE = -1;

/** The u64 at word `at`, or {@link UNSAFE}. */
export function takeU64(words: Uint32Array, at: number): number {
  const hi = words[at + 1]!;
  return hi < UNSAFE_HI ? hi * TWO_32 + words[at]! : UNSAFE;
}

/** True when `offset + len`, both safe, is not safe. */
export function sumOverflows(offset: number, len: number): boolean {
  return offset > Number.MAX_SAFE_INTEGER - len;
}
