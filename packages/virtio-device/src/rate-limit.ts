/** A limit on log lines that a guest can cause. */

const WINDOW_NS = 1e9;

/** Allows a number of lines a second; what was held back is told with the next line that passes. */
export class RateLimit {
  readonly #linesPerSecond: number;
  readonly #nowNs: () => number;
  #windowStart = Number.NEGATIVE_INFINITY;
  #used = 0;
  #held = 0;

  /** @param nowNs - a monotonic clock */
  constructor(nowNs: () => number, linesPerSecond = 10) {
    this.#nowNs = nowNs;
    this.#linesPerSecond = linesPerSecond;
  }

  /** True when a line may be written now. */
  allow(): boolean {
    const now = this.#nowNs();
    if (now - this.#windowStart >= WINDOW_NS) {
      this.#windowStart = now;
      this.#used = 0;
    }
    if (this.#used < this.#linesPerSecond) {
      this.#used++;
      return true;
    }
    this.#held++;
    return false;
  }

  /** Lines held back since the last call, as a tail for the line that passes: '' or ' (12 more not shown)'. */
  tail(): string {
    const held = this.#held;
    this.#held = 0;
    return held === 0 ? '' : ` (${held} more not shown)`;
  }
}
