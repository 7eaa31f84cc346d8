import type { SoakRun } from '../../src/soak.ts';

export const enough = 1;
export const wanted: readonly string[] = [];

export function open(): SoakRun {
  return {
    round() {
      process.kill(process.pid, 'SIGSEGV');
    },
    async [Symbol.asyncDispose]() {},
  };
}
