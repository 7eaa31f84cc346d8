/** The one error class of this package. */

/**
 * - `ERR_CREATE_NAME`: the name is no name of a npm package; choose another.
 * - `ERR_CREATE_FOLDER`: the folder is there and not empty; choose another, or empty it.
 * - `ERR_CREATE_USAGE`: the arguments are not understood.
 */
export type CreateErrorCode = 'ERR_CREATE_NAME' | 'ERR_CREATE_FOLDER' | 'ERR_CREATE_USAGE';

export class CreateError extends Error {
  override readonly name = 'CreateError';
  readonly code: CreateErrorCode;

  constructor(code: CreateErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}
