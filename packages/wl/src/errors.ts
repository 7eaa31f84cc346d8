/** The one class of error of this package. */

/**
 * What a peer did that no peer may do; end its connection.
 * - `ERR_WL_SIZE`: a message says it is shorter than its header, or not a multiple of four bytes.
 * - `ERR_WL_ARGUMENT`: an argument reaches beyond its message, or a string does not end in NUL.
 * - `ERR_WL_OBJECT`: a message names an object that is not there.
 * - `ERR_WL_OPCODE`: an object's interface has no such message.
 * - `ERR_WL_ID`: a new object's id is in use, or not of the range of who makes it.
 * - `ERR_WL_LIMIT`: more objects than allowed.
 */
export type WlErrorCode =
  | 'ERR_WL_SIZE'
  | 'ERR_WL_ARGUMENT'
  | 'ERR_WL_OBJECT'
  | 'ERR_WL_OPCODE'
  | 'ERR_WL_ID'
  | 'ERR_WL_LIMIT';

/** A breach of the wire format. */
export class WlError extends Error {
  override readonly name = 'WlError';
  readonly code: WlErrorCode;

  constructor(code: WlErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}
