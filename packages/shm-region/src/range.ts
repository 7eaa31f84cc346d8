/** The one check that every offset and length from a guest, driver or front-end passes. */
import { isSafeUnsigned, rangeFits } from '@oriel/layout';
import { ShmRegionError } from './errors.ts';

/** Anything that occupies a range of a region, bytes. */
export interface Range {
  readonly shmOffset: number;
  readonly len: number;
}

/** True for a non-empty range of whole pages inside `[0, size)`; false for anything else, also NaN and fractions. */
export function isPageRange(offset: number, len: number, size: number, pageSize: number): boolean {
  return (
    isSafeUnsigned(offset) &&
    isSafeUnsigned(len) &&
    len > 0 &&
    offset % pageSize === 0 &&
    len % pageSize === 0 &&
    rangeFits(offset, len, size)
  );
}

/** @throws ShmRegionError ERR_SHM_SIZE unless `size` is a positive multiple of `pageSize`, at most 2^53 - 1 */
export function checkSize(what: string, size: number, pageSize: number): void {
  if (!isPageRange(0, size, Number.MAX_SAFE_INTEGER, pageSize)) {
    throw new ShmRegionError('ERR_SHM_SIZE', 'bug', `${what} of ${size} bytes: not a positive multiple of ${pageSize}`);
  }
}
