/**
 * Tells a resumed driver from a new one. A front-end stops the rings both when a VM is paused and when a driver resets the
 * device, and says the same in both cases; only the ring bases of the next start differ: saved values or zero.
 */

/** What the next start of a ring says: a new driver came, the old one goes on, or this ring alone cannot tell. */
export type StartVerdict = 'reset' | 'continue' | 'unknown';

/** The bases at which rings stopped, and the judgement of the start that follows. */
export class RunHistory {
  /** Base at the last stop, -1 for a ring that never ran. */
  readonly #bases: Int32Array;
  #open = false;

  constructor(queueCount: number) {
    this.#bases = new Int32Array(queueCount).fill(-1);
  }

  /** True while the rings that started in this run could not tell. */
  get open(): boolean {
    return this.#open;
  }

  /** A ring stopped at `base`. */
  stopped(index: number, base: number): void {
    this.#bases[index] = base;
  }

  /**
   * All rings are stopped and some are about to start. With no base above zero to compare with there is nothing to find
   * out: nothing was taken from any ring (or each stands at a wrap, where going on is the lesser harm).
   */
  begin(): void {
    this.#open = this.#bases.some((base) => base > 0);
  }

  /**
   * Judges the start of a ring. 'reset' and 'continue' come once a run, from the first ring that can tell.
   * @param base - what the front-end set with SET_VRING_BASE
   */
  judge(index: number, base: number): StartVerdict {
    if (!this.#open || (base === 0 && this.#bases[index]! <= 0)) {
      return 'unknown';
    }
    this.#open = false;
    return base === 0 ? 'reset' : 'continue';
  }

  /** The device was reset: neither this run nor the next start needs a judgement. */
  clear(): void {
    this.#bases.fill(-1);
    this.#open = false;
  }
}
