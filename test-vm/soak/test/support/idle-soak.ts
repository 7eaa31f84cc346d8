import type { SoakRun } from '../../src/soak.ts';

export const wanted: readonly string[] = ['something'];

export function open(): SoakRun {
  return { round() {}, async [Symbol.asyncDispose]() {} };
}
