/**
 * Tells a resumed driver from a new one. A front-end stops the rings both when a VM is paused and when a driver resets the
 * device, and says the same in both cases; only the ring bases of the next start differ: saved values or zero. A saved base
 * may be zero too, once in 65536 chains; if the device then kept some over the stop, the used ring tells the two apart: a new
 * driver's is empty, the old one's is behind the base by as many.
 */

/** What the next start of a ring says: a new driver came, the old one goes on, or this ring alone cannot tell. */
export type StartVerdict = 'reset' | 'continue' | 'unknown';

/** Where rings stopped, and the judgement of the start that follows. */
export class RunHistory {
  /** Base at the last stop, -1 for a ring that never ran. */
  readonly #bases: Int32Array;
  /** Chains that the driver waited for at the last stop. */
  readonly #outstanding: Uint16Array;
  #open = false;

  constructor(queueCount: number) {
    this.#bases = new Int32Array(queueCount).fill(-1);
    this.#outstanding = new Uint16Array(queueCount);
  }

  /** True while the rings that started in this run could not tell. */
  get open(): boolean {
    return this.#open;
  }

  /** A ring stopped at `base`, while the driver waited for `outstanding` chains. */
  stopped(index: number, base: number, outstanding: number): void {
    this.#bases[index] = base;
    this.#outstanding[index] = outstanding;
  }

  /**
   * All rings are stopped and some are about to start. With no base above zero to compare with there is nothing to find
   * out: nothing was taken from any ring (or each stands at a wrap, where going on is the lesser harm).
   */
  begin(): void {
    this.#open = this.#bases.some((_, index) => this.#moved(index));
  }

  /**
   * Judges the start of a ring. 'reset' and 'continue' come once a run, from the first ring that can tell.
   * @param base - what the front-end set with SET_VRING_BASE
   * @param outstanding - chains that the driver waits for, says its used ring
   */
  judge(index: number, base: number, outstanding: number): StartVerdict {
    if (!this.#open || (base === 0 && !this.#moved(index))) {
      return 'unknown';
    }
    this.#open = false;
    return this.fresh(index, base, outstanding) ? 'reset' : 'continue';
  }

  /** True when a ring that starts so is a new driver's, as far as this ring can tell. */
  fresh(index: number, base: number, outstanding: number): boolean {
    const left = this.#outstanding[index]!;
    const wrapped = this.#bases[index] === 0 && left > 0 && left === outstanding;
    return base === 0 && !wrapped;
  }

  /** The device was reset: neither this run nor the next start needs a judgement. */
  clear(): void {
    this.#bases.fill(-1);
    this.#outstanding.fill(0);
    this.#open = false;
  }

  /** A ring that stopped where a new driver's cannot start. */
  #moved(index: number): boolean {
    return this.#bases[index]! > 0 || this.#outstanding[index]! > 0;
  }
}
