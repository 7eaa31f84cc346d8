/** The errors that this package throws; a request's failure is a negative errno instead. */

/**
 * - `ERR_PASSTHROUGH_SHARE`: the shared directory cannot be opened; name another one.
 * - `ERR_PASSTHROUGH_PROC`: /proc/self/fd cannot be opened; mount a proc file system.
 * - `ERR_PASSTHROUGH_OPTION`: an option has no meaning; the message says which.
 * - `ERR_PASSTHROUGH_HANDLES`: file handles cannot be used; the message says why. Allow descriptors in their place.
 * - `ERR_PASSTHROUGH_CREDENTIALS`: the thread could not take back its own credentials: end the process.
 */
export type PassthroughErrorCode =
  | 'ERR_PASSTHROUGH_SHARE'
  | 'ERR_PASSTHROUGH_PROC'
  | 'ERR_PASSTHROUGH_OPTION'
  | 'ERR_PASSTHROUGH_HANDLES'
  | 'ERR_PASSTHROUGH_CREDENTIALS';

/** A set-up that cannot work, or a state in which the process must not go on. */
export class PassthroughError extends Error {
  override readonly name = 'PassthroughError';
  readonly code: PassthroughErrorCode;

  constructor(code: PassthroughErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
