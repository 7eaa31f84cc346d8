/** What one guest program may make the host hold, of what all of them may. */

/** An amount of bytes or things. What is taken counts in the parent, too. */
export class Quota {
  readonly max: number;
  readonly #parent: Quota | null;
  #used = 0;

  constructor(max: number, parent: Quota | null = null) {
    this.max = max;
    this.#parent = parent;
  }

  get used(): number {
    return this.#used;
  }

  /** @param amount - a whole number from 0 @returns false, with nothing taken, when it does not fit */
  take(amount: number): boolean {
    if (amount > this.max - this.#used || this.#parent?.take(amount) === false) return false;
    this.#used += amount;
    return true;
  }

  /** Gives back what was taken. */
  give(amount: number): void {
    this.#used -= amount;
    this.#parent?.give(amount);
  }
}
