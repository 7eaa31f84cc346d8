import type { SoakRun } from '../../src/soak.ts';

export const enough = 1;
export const wanted: readonly string[] = ['act'];

export function open(): SoakRun {
  return {
    round(_random, tally) {
      tally.did('act');
      tally.did('act');
    },
    async [Symbol.asyncDispose]() {},
  };
}
