/**
 * Soak `model`: random operations on a model of a region (who owns what, and when it dies), on the ledger, and on a real
 * front-end's window over a socket, which must all agree: for pages of 4, 16 and 64 KiB and several front-end profiles.
 */
import { leakCheck } from '@oriel/sys/testing';
import { runAnyModel } from '@oriel/test-vm-micro';
import type { SoakRun } from '../soak.ts';

const OPERATIONS = 3000;

export const enough = 50;
export const wanted = ['map', 'unmap', 'reset', 'pause'];

export function open(): SoakRun {
  const leaks = leakCheck();
  return {
    round(random, tally) {
      const { operations, byName } = runAnyModel(random.u32(), OPERATIONS);
      tally.operations += operations;
      for (const [name, count] of Object.entries(byName)) tally.saw(name, count);
    },
    async [Symbol.asyncDispose]() {
      leaks.check();
    },
  };
}
