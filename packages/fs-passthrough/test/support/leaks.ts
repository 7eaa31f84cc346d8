/** Descriptors and mappings that tests leave behind. */
import { openSys } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';

/** Checks each test of the surrounding `describe`. */
export function checkLeaks(): void {
  let leaks: LeakCheck;
  beforeEach(() => {
    // It keeps memory for the thread's whole life.
    openSys();
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());
}
