/** Log lines that a guest can cause at will, kept rare. */
import type { Logger } from '@oriel/sys';

const INTERVAL_MS = 10_000;

interface Line {
  until: number;
  suppressed: number;
}

/** Warns at most once in ten seconds about one thing, and then says how often it happened meanwhile. */
export class RareLog {
  readonly #log: Logger;
  readonly #lines = new Map<string, Line>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /**
   * @param message - a fixed text: it is the key
   * @param subject - what it happened to; its `toString` must be safe for logs and is called only if the line is written
   */
  warn(message: string, subject: { toString(): string }): void {
    const now = performance.now();
    let line = this.#lines.get(message);
    if (line === undefined) {
      line = { until: 0, suppressed: 0 };
      this.#lines.set(message, line);
    }
    if (now < line.until) {
      line.suppressed++;
      return;
    }
    this.#log.warn(message, { subject: String(subject), suppressed: line.suppressed });
    line.until = now + INTERVAL_MS;
    line.suppressed = 0;
  }
}
