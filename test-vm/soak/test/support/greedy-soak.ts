import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SoakRun } from '../../src/soak.ts';

export const enough = 1;
export const wanted: readonly string[] = [];

export function open(): SoakRun {
  return {
    round() {
      writeFileSync(join(tmpdir(), 'long'), new Uint8Array(1 << 20));
    },
    async [Symbol.asyncDispose]() {},
  };
}
