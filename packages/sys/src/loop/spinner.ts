/**
 * Decides when to spin before sleeping. Waking a sleeping thread costs 20 to 50 µs, so a short spin that finds work is
 * the largest gain there is; one that finds none is waste. So it is kept only while it pays: a few misses end it, and
 * sleeps that turn out short bring it back, after more of them each time it failed.
 */

const MAX_MISSES = 4;
const MAX_PATIENCE = 64;
/** What a wake-up itself takes: part of every sleep that is measured. */
const WAKE_UP_NS = 50_000;

/** The state of the adaptive spin of one loop. */
export class Spinner {
  /** Longest spin without work, ns; 0 means never. */
  readonly budgetNs: number;
  #on: boolean;
  #misses = 0;
  #shortSleeps = 0;
  #patience = 1;

  constructor(budgetNs: number) {
    this.budgetNs = budgetNs;
    this.#on = budgetNs > 0;
  }

  /** True when a spin is worth trying now. */
  get isOn(): boolean {
    return this.#on;
  }

  /** Tells how a spin ended. */
  spun(foundWork: boolean): void {
    if (foundWork) {
      this.#misses = 0;
      this.#patience = 1;
      return;
    }
    this.#misses++;
    if (this.#misses >= MAX_MISSES) {
      this.#on = false;
      this.#shortSleeps = 0;
      this.#patience = Math.min(this.#patience * 2, MAX_PATIENCE);
    }
  }

  /** Tells how long a sleep took that an event ended. */
  slept(ns: number): void {
    if (this.#on || this.budgetNs === 0) {
      return;
    }
    this.#shortSleeps = ns < this.budgetNs + WAKE_UP_NS ? this.#shortSleeps + 1 : 0;
    if (this.#shortSleeps >= this.#patience) {
      this.#on = true;
      this.#misses = 0;
    }
  }
}
