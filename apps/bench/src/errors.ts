/** What goes wrong in a benchmark. */

/**
 * - `ERR_BENCH_USAGE`: an option is wrong; the message says what to give.
 * - `ERR_BENCH_PEER`: a back-end does not start, ended, or lacks what the driver needs; the message has its words.
 * - `ERR_BENCH_ANSWER`: a back-end answered wrongly, so its speed means nothing; the message says which request.
 * - `ERR_BENCH_TIMEOUT`: no answer in time; the back-end hangs, or forgot to call.
 */
export type BenchErrorCode = 'ERR_BENCH_USAGE' | 'ERR_BENCH_PEER' | 'ERR_BENCH_ANSWER' | 'ERR_BENCH_TIMEOUT';

/** The one error class of this program. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
  readonly code: BenchErrorCode;

  constructor(code: BenchErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail}`, options);
    this.code = code;
  }
}
