/** 64-bit values without BigInt: two u32, or one safe integer after a check. */
import { TWO_32 } from './kinds.ts';

/** High words from here on make a value that a double cannot hold exactly (2^53 = 2^21 * 2^32). */
export const UNSAFE_HI = 0x20_0000;

/** `hi:lo` as a number; exact when `hi < UNSAFE_HI`, otherwise above `Number.MAX_SAFE_INTEGER`. */
export function fromParts(lo: number, hi: number): number {
  return (hi >>> 0) * TWO_32 + (lo >>> 0);
}

/** True for whole numbers from 0 to 2^53 - 1: what an address, an offset or a length must be. */
export function isSafeUnsigned(value: number): boolean {
  return value >= 0 && Number.isSafeInteger(value);
}

/** True when `[start, start + len)` lies in `[0, limit]` and nothing was rounded on the way. */
export function rangeFits(start: number, len: number, limit: number): boolean {
  return start >= 0 && len >= 0 && start <= limit && len <= limit - start;
}

/** The BigInt of two u32, for system calls whose 64-bit argument may exceed 2^53. */
export function toBigInt(lo: number, hi: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}
