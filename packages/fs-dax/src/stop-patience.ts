/** How long the queues of a device may wait, as they stop, for requests that are under way. */
import type { SysLoop } from '@oriel/sys';

/** A front-end waits for the stop of each ring in turn; what does not end by then is given back or interrupted. */
const SETTLE_MS = 40;
const NS_PER_MS = 1e6;

/** The time for all queues that stop in one pause. */
export class StopPatience {
  readonly #clock: Pick<SysLoop, 'nowNs'>;
  #leftMs = SETTLE_MS;

  constructor(clock: Pick<SysLoop, 'nowNs'>) {
    this.#clock = clock;
  }

  /** A queue starts: the pause is over. */
  renew(): void {
    this.#leftMs = SETTLE_MS;
  }

  /** Waits. @param settle - gets the milliseconds that are left; with 0 it is to look only */
  spend(settle: (ms: number) => void): void {
    const from = this.#clock.nowNs();
    settle(this.#leftMs);
    this.#leftMs = Math.max(0, this.#leftMs - (this.#clock.nowNs() - from) / NS_PER_MS);
  }
}
