/** The one error class of this package. */

/**
 * - `ERR_PMEM_FILE`: the file cannot be opened for reading and writing, or is no regular file or block device.
 * - `ERR_PMEM_SIZE`: the size of the file cannot be the size of a region (see the message).
 */
export type PmemErrorCode = 'ERR_PMEM_FILE' | 'ERR_PMEM_SIZE';

export class PmemError extends Error {
  override readonly name = 'PmemError';
  readonly code: PmemErrorCode;

  constructor(code: PmemErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
