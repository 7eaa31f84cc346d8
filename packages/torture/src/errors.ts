/** The one error class of this package: what keeps the suite from running, or a clause from coming to its point. */

/**
 * - `ERR_TORTURE_CLOSED`: the peer closed the connection in the middle of an honest step.
 * - `ERR_TORTURE_REFUSED`: the peer refused an honest step, or answered it wrongly.
 * - `ERR_TORTURE_SILENT`: the peer did not answer an honest step in time.
 * - `ERR_TORTURE_CONNECT`: nobody listens.
 */
export type TortureErrorCode =
  | 'ERR_TORTURE_CLOSED'
  | 'ERR_TORTURE_REFUSED'
  | 'ERR_TORTURE_SILENT'
  | 'ERR_TORTURE_CONNECT';

/** What went wrong in an honest step; `code` is stable, `detail` is for people. */
export class TortureError extends Error {
  override readonly name = 'TortureError';
  readonly code: TortureErrorCode;
  readonly detail: string;

  constructor(code: TortureErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.detail = detail;
  }
}
