/** Turns a callback into a return value by running the loop: for tests, tools and start-up code. */
import type { EventLoop, SysLoop } from '@oriel/sys';
import { VhostUserError } from '../errors.ts';

const NS_PER_MS = 1e6;

/**
 * Runs the loop until `start`'s callback came. Never inside a handler.
 * @throws what the callback got as its error; VhostUserError ERR_VU_TIMEOUT
 */
export function waitFor<T>(
  loop: EventLoop,
  clock: Pick<SysLoop, 'nowNs'>,
  start: (done: (error: Error | null, value?: T) => void) => void,
  timeoutMs: number,
): T {
  const outcome: { done: boolean; error: Error | null; value: T | undefined } = {
    done: false,
    error: null,
    value: undefined,
  };
  start((error, value) => {
    outcome.done = true;
    outcome.error = error;
    outcome.value = value;
  });
  runUntil(loop, clock, () => outcome.done, timeoutMs);
  if (outcome.error !== null) {
    throw outcome.error;
  }
  return outcome.value as T;
}

/** Runs the loop until `condition` holds. Never inside a handler. @throws VhostUserError ERR_VU_TIMEOUT */
export function runUntil(
  loop: EventLoop,
  clock: Pick<SysLoop, 'nowNs'>,
  condition: () => boolean,
  timeoutMs: number,
): void {
  const end = clock.nowNs() + timeoutMs * NS_PER_MS;
  while (!condition()) {
    const left = Math.ceil((end - clock.nowNs()) / NS_PER_MS);
    if (left <= 0) {
      throw new VhostUserError('ERR_VU_TIMEOUT', 'backend', `nothing came in ${timeoutMs} ms`);
    }
    loop.runOnce(left);
  }
}
