/** Random numbers that can be had again: everything in a round follows from its seed. */

const TWO_32 = 2 ** 32;
/** Odd and far from a power of two: spreads the bits of small seeds. */
const SPREAD = 0x9e37_79b1;

/** A xorshift generator of 32 bits. */
export class Xorshift {
  #state: number;

  /** @param seed - u32 */
  constructor(seed: number) {
    this.#state = Math.imul(seed ^ (seed >>> 16), SPREAD) >>> 0 || SPREAD;
  }

  /** The next number, u32. */
  u32(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return Math.imul(state, SPREAD) >>> 0;
  }

  /** A whole number from 0 to `end` - 1. @param end - 1 to 2^32 */
  below(end: number): number {
    return Math.floor((this.u32() / TWO_32) * end);
  }

  /** A whole number from `first` to `last`. */
  from(first: number, last: number): number {
    return first + this.below(last - first + 1);
  }

  /** True once in `times`, on average. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** One of the names, as often as its weight says. */
  weighted<Name extends string>(weights: Readonly<Record<Name, number>>): Name {
    const names = Object.keys(weights) as Name[];
    let left = this.below(names.reduce((sum, name) => sum + weights[name], 0));
    for (const name of names) {
      left -= weights[name];
      if (left < 0) return name;
    }
    return names[0]!;
  }

  /** Fills with random bytes. @returns its argument */
  fill(to: Uint8Array): Uint8Array {
    for (let i = 0; i < to.length; i++) to[i] = this.u32() >>> 24;
    return to;
  }
}
