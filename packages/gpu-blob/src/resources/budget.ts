/** A limit on what guests can make the host hold: bytes, or things. */
import { isSafeUnsigned } from '@oriel/layout';

export class Budget {
  /** The most that can be taken at a time. */
  readonly max: number;
  #used = 0;

  /** @throws RangeError unless `max` is a whole number from 0 to 2^53 - 1 */
  constructor(max: number) {
    if (!isSafeUnsigned(max)) throw new RangeError(`budget ${max}, want a whole number from 0 to 2^53 - 1`);
    this.max = max;
  }

  get used(): number {
    return this.#used;
  }

  /** True when `amount` is still free. False also for what is no whole number, so for sizes that a guest made up. */
  fits(amount: number): boolean {
    return isSafeUnsigned(amount) && amount <= this.max - this.#used;
  }

  /** Takes `amount` when it fits. @returns false, with nothing taken, otherwise */
  take(amount: number): boolean {
    if (!this.fits(amount)) return false;
    this.#used += amount;
    return true;
  }

  /** @throws RangeError when `amount` is more than was taken */
  give(amount: number): void {
    if (!isSafeUnsigned(amount) || amount > this.#used) {
      throw new RangeError(`giving ${amount} back, of ${this.#used} taken`);
    }
    this.#used -= amount;
  }
}
