/**
 * Tells a resumed driver from a new one. A front-end stops the rings both when a VM is paused and when a driver resets the
 * device, and says the same in both cases; only the ring bases of the next start differ: saved values, or that of a new ring.
 * A saved base may be that of a new ring too. A split ring's is, once in 65536 chains; if the device then kept some over the
 * stop, the used ring tells the two apart: a new driver's is empty, the old one's is behind the base by as many. A packed
 * ring's is at the end of every second lap; then the ring itself tells: a new driver's is blank. Where the front-end shares
 * an in-flight area, that tells alone: a driver that goes on brings the one in use, a new driver a blank one.
 */

/** What the next start of a ring says: a new driver came, the old one goes on, or this ring alone cannot tell. */
export type StartVerdict = 'reset' | 'continue' | 'unknown';

/** A ring that starts. */
export interface RingStart {
  /** What the front-end set with SET_VRING_BASE. */
  readonly base: number;
  /** What the driver waits for (`RingQueue.outstanding`). */
  readonly outstanding: number;
  /** No driver has been once around it (`RingQueue.blank`). */
  readonly blank: boolean;
  /** Its in-flight area says that the driver goes on. */
  readonly known?: boolean;
}

/** Never ran. */
const NONE = -1;

/** What a history knows, by ring; plain data. */
export interface HistoryState {
  readonly bases: readonly number[];
  readonly outstanding: readonly number[];
  readonly moved: readonly number[];
}

/** Where rings stopped, and the judgement of the start that follows. */
export class RunHistory {
  /** The base of a new ring, in the format that was negotiated. */
  freshBase = 0;
  /** Base at the last stop, or NONE. */
  readonly #bases: Float64Array;
  /** What the driver waited for at the last stop. */
  readonly #outstanding: Uint16Array;
  /** 1 where a ring stopped in another place than a new driver's can start in, or in the same after whole laps. */
  readonly #moved: Uint8Array;
  #open = false;

  /** @param before - what another one knew of as many rings */
  constructor(queueCount: number, before?: HistoryState) {
    this.#bases = Float64Array.from(before?.bases ?? new Array<number>(queueCount).fill(NONE));
    this.#outstanding = Uint16Array.from(before?.outstanding ?? new Array<number>(queueCount).fill(0));
    this.#moved = Uint8Array.from(before?.moved ?? new Array<number>(queueCount).fill(0));
  }

  get state(): HistoryState {
    return { bases: [...this.#bases], outstanding: [...this.#outstanding], moved: [...this.#moved] };
  }

  /** True while the rings that started in this run could not tell. */
  get open(): boolean {
    return this.#open;
  }

  /**
   * A ring stopped.
   * @param outstanding - what the driver waited for
   * @param took - chains were taken from it in this run
   */
  stopped(index: number, base: number, outstanding: number, took: boolean): void {
    const packed = this.freshBase !== 0;
    const lapped = packed && (took || (this.#moved[index] === 1 && this.#bases[index] === base));
    this.#bases[index] = base;
    this.#outstanding[index] = outstanding;
    this.#moved[index] = base !== this.freshBase || outstanding > 0 || lapped ? 1 : 0;
  }

  /**
   * All rings are stopped and some are about to start. With no ring that moved there is nothing to find out: nothing was taken
   * from any (or each split ring stands at a wrap, where going on is the lesser harm).
   */
  begin(): void {
    this.#open = this.#moved.includes(1);
  }

  /** Judges the start of a ring. 'reset' and 'continue' come once a run, from the first ring that can tell. */
  judge(index: number, start: RingStart): StartVerdict {
    const silent = start.known !== true && start.base === this.freshBase && this.#moved[index] === 0;
    if (!this.#open || silent) {
      return 'unknown';
    }
    this.#open = false;
    return this.fresh(index, start) ? 'reset' : 'continue';
  }

  /** True when a ring that starts so is a new driver's, as far as this ring can tell. */
  fresh(index: number, { base, outstanding, blank, known }: RingStart): boolean {
    if (known === true || base !== this.freshBase) {
      return false;
    }
    if (this.#bases[index] !== base || this.#moved[index] === 0) {
      return true;
    }
    const left = this.#outstanding[index]!;
    // Without chains that were left, only a packed ring comes here: it stopped after whole laps.
    return left > 0 ? left !== outstanding : blank;
  }

  /** The device was reset: neither this run nor the next start needs a judgement. */
  clear(): void {
    this.#bases.fill(NONE);
    this.#outstanding.fill(0);
    this.#moved.fill(0);
    this.#open = false;
  }
}
