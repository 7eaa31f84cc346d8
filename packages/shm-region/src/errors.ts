/** The one class of error of this package. Requests never throw: they answer a negative errno. */

/**
 * - `ERR_SHM_SIZE`: a region, window or allocator size is not a positive multiple of the page size. Choose another size.
 * - `ERR_SHM_LIMITS`: the limits of a front-end contradict themselves. Correct the profile.
 * - `ERR_SHM_RANGE`: a range was released that was not allocated. A bug of the caller: its book-keeping is wrong.
 * - `ERR_SHM_RESERVE`: the host would not reserve address space for a window. Choose a smaller one.
 */
export type ShmRegionErrorCode = 'ERR_SHM_SIZE' | 'ERR_SHM_LIMITS' | 'ERR_SHM_RANGE' | 'ERR_SHM_RESERVE';

/** Whose fault an error is: `host` for what the kernel refused, `bug` for a mistake of the calling program. */
export type ShmRegionBlame = 'host' | 'bug';

/** What constructors and `RangeAllocator.release` throw. */
export class ShmRegionError extends Error {
  override readonly name = 'ShmRegionError';
  readonly code: ShmRegionErrorCode;
  readonly blame: ShmRegionBlame;

  constructor(code: ShmRegionErrorCode, blame: ShmRegionBlame, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.blame = blame;
  }
}
