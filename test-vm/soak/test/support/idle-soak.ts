import type { SoakRun } from '../../src/soak.ts';

export const enough = 1;
export const wanted: readonly string[] = ['something'];

export function open(): SoakRun {
  return { round() {}, async [Symbol.asyncDispose]() {} };
}
