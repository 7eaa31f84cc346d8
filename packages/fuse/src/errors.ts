/** The one error class of this package. A session never throws at a bad request: it answers an errno. */

/** What went wrong, and what the caller should do. */
export type FuseErrorCode =
  /** `handle` was called while `ready` was false: leave messages in the ring until an operation is free. */
  | 'ERR_FUSE_BUSY'
  /** An operation was used in a state that does not allow it (completed twice, replied without being kept): a bug. */
  | 'ERR_FUSE_STATE'
  /** Client: the reply's length is not what its opcode asks; treat the server as broken. */
  | 'ERR_FUSE_REPLY_LENGTH'
  /** Client: the reply belongs to another request. */
  | 'ERR_FUSE_REPLY_UNIQUE'
  /** Client: the reply's error is not in (-512, 0]. */
  | 'ERR_FUSE_REPLY_ERROR'
  /** Client: a directory record does not fit into its reply, or its name is empty or has a slash. */
  | 'ERR_FUSE_REPLY_RECORD';

/** Who broke the rule. */
export type FuseBlame = 'server' | 'bug';

/** A broken rule of the protocol or of the session's use. */
export class FuseError extends Error {
  override readonly name = 'FuseError';
  readonly code: FuseErrorCode;
  readonly blame: FuseBlame;

  constructor(code: FuseErrorCode, blame: FuseBlame, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
    this.blame = blame;
  }
}
