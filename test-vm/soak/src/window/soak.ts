/**
 * Soak `window`: random requests at a `BackendRegion` whose front-end is a real `Window`, with answers that come late or are
 * refusals, with stops, resets and lost connections in between. Nothing is sent that a strict front-end would refuse, everybody
 * is told once, the guest sees the right file behind each confirmed mapping and nothing behind a removed one, and at rest
 * ledger and window agree.
 */
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import type { SoakRun } from '../soak.ts';
import { WindowStage } from './stage.ts';
import { StampedFiles } from './stamped-files.ts';

const STEPS = 300;

export const enough = 500;
export const wanted = [
  ...['map', 'unmap', 'unmapOwner', 'unmapAll', 'stop', 'resume', 'reset', 'reconnect', 'seen', 'stored', 'hostile'],
  ...['mapped', 'unmapped', 'map refused', 'unmap refused', 'map cancelled', 'unmap cancelled', 'nested'],
];

export function open(): SoakRun {
  const sys = openSys();
  const leaks = leakCheck();
  const files = new StampedFiles(sys);
  return {
    round(random, tally) {
      using stage = new WindowStage(random, tally, files);
      for (let step = 0; step < STEPS; step++) stage.step();
      stage.settle();
    },
    async [Symbol.asyncDispose]() {
      files[Symbol.dispose]();
      leaks.check();
    },
  };
}
