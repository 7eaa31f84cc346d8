/** The one error class of this package. */

/**
 * Why a memory table was refused. The table stays as it was; the caller answers the message with a failing REPLY_ACK, or
 * closes the connection.
 *
 * - `ERR_MEM_RANGE`: a region of no bytes, one that wraps or is not a safe integer, or one not aligned to 4096 bytes
 * - `ERR_MEM_OVERLAP`: two regions share guest physical or user addresses
 * - `ERR_MEM_COUNT`: more regions than there are slots
 * - `ERR_MEM_FILE`: the file is shorter than the region says, or cannot be mapped (`cause` has the system's error)
 * - `ERR_MEM_UNKNOWN`: no region matches the one to remove; or the address was asked of one that is not live
 */
export type GuestMemoryErrorCode =
  | 'ERR_MEM_RANGE'
  | 'ERR_MEM_OVERLAP'
  | 'ERR_MEM_COUNT'
  | 'ERR_MEM_FILE'
  | 'ERR_MEM_UNKNOWN';

/** A memory table that cannot be taken. */
export class GuestMemoryError extends Error {
  override readonly name = 'GuestMemoryError';
  readonly code: GuestMemoryErrorCode;
  /** Memory tables come from the front-end only. */
  readonly blame = 'frontend';

  constructor(code: GuestMemoryErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
