import { same } from '../../src/errors.ts';
import type { SoakRun } from '../../src/soak.ts';

export const enough = 1;
export const wanted: readonly string[] = [];

/** Fails in a round whose numbers say so, not in the first one of the test. */
export function open(): SoakRun {
  return {
    round(random) {
      const number = random.below(8);
      if (number === 0) same('the third number', random.u32(), 'another');
    },
    async [Symbol.asyncDispose]() {},
  };
}
