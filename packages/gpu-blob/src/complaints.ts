/** Log lines about a guest's mistakes: it may not fill a disk with them. */
import type { Logger, SysLoop } from '@oriel/sys';
import { RateLimit } from '@oriel/virtio-device';

/** Writes warnings, ten a second at most; how many were held back stands in the next one. */
export class Complaints {
  readonly #log: Logger;
  readonly #limit: RateLimit;

  /** @param clock - monotonic */
  constructor(log: Logger, clock: Pick<SysLoop, 'nowNs'>) {
    this.#log = log;
    this.#limit = new RateLimit(() => clock.nowNs());
  }

  /** @param text - without the device's name */
  say(text: string): void {
    if (this.#limit.allow()) this.#log.warn(`gpu: ${text}${this.#limit.tail()}`);
  }
}
