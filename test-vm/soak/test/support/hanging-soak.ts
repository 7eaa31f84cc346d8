import type { SoakRun } from '../../src/soak.ts';

export const wanted: readonly string[] = [];

export function open(): SoakRun {
  return {
    round() {
      for (;;);
    },
    async [Symbol.asyncDispose]() {},
  };
}
