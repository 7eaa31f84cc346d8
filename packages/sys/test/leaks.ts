/** Hooks for a `describe`: no test in it may leave a descriptor or a mapping behind. */
import { afterEach, beforeEach } from 'mocha';
import { type LeakCheck, leakCheck } from '../src/testing/index.ts';

/** @param cleanUp - runs after each test, before the check */
export function checkLeaks(setUp: () => void = () => {}, cleanUp: () => void = () => {}): void {
  let leaks: LeakCheck;
  beforeEach(() => {
    leaks = leakCheck();
    setUp();
  });
  afterEach(() => {
    cleanUp();
    leaks.check();
  });
}
