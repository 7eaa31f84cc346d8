/** Log lines that a peer can cause, bounded: it may not fill a disk. */
import type { Logger } from '@oriel/sys';
import type { VhostUserError, VhostUserErrorCode } from './errors.ts';

/** Lines of one code that are written in full; after these only every power of two. */
const FULL_LINES = 8;

/** Says what was refused, less and less often. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #what: string;
  readonly #counts = new Map<VhostUserErrorCode, number>();

  /** @param what - the message of every line; the error stands in its fields */
  constructor(log: Logger, what: string) {
    this.#log = log;
    this.#what = what;
  }

  /** Logs one refusal. @param fields - what the line is about */
  refused(error: VhostUserError, fields: Record<string, unknown> = {}): void {
    const count = (this.#counts.get(error.code) ?? 0) + 1;
    this.#counts.set(error.code, count);
    if (count <= FULL_LINES || Number.isInteger(Math.log2(count))) {
      const cause = error.cause === undefined ? {} : { cause: String(error.cause) };
      this.#log.warn(this.#what, { error: error.message, blame: error.blame, count, ...fields, ...cause });
    }
  }
}
