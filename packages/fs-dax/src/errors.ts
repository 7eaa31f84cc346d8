/** The one error class of this package. */

/**
 * - `ERR_FSDAX_TAG`: the tag is empty, longer than 36 bytes, or holds a newline.
 * - `ERR_FSDAX_WINDOW`: the window's size is not usable (see the message), or its mappings exceed the budget.
 * - `ERR_FSDAX_OPTION`: another option is out of range.
 * - `ERR_FSDAX_GUARD`: this host cannot guard mapped files against truncation; choose `guard: 'off'` to go without.
 * - `ERR_FSDAX_RECORD`: the crash record of `grow` cannot be opened, locked or written.
 */
export type FsDaxErrorCode =
  | 'ERR_FSDAX_TAG'
  | 'ERR_FSDAX_WINDOW'
  | 'ERR_FSDAX_OPTION'
  | 'ERR_FSDAX_GUARD'
  | 'ERR_FSDAX_RECORD';

export class FsDaxError extends Error {
  override readonly name = 'FsDaxError';
  readonly code: FsDaxErrorCode;

  constructor(code: FsDaxErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
