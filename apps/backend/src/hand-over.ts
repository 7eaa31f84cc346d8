/** `oriel ctl handover`: this process gives its front-ends to the next one, which whoever launched it starts at once. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ControlError } from './device-module.ts';
import type { DeviceThread } from './device-thread.ts';
import { BUSY } from './worker-plan.ts';

/** A message is under way for the time that a front-end takes to answer. */
const TRIES = 200;
const RETRY_MS = 5;

type HandingOver = Pick<DeviceThread, 'name' | 'handOver'>;

async function handOverOne({ name, handOver }: HandingOver): Promise<string | null> {
  for (let count = 0; ; count++) {
    const refusal = await handOver();
    if (refusal !== BUSY || count === TRIES) {
      return refusal === null ? null : `${name}: ${refusal}`;
    }
    await sleep(RETRY_MS);
  }
}

/**
 * All devices hand over. A front-end whose device cannot comes back by itself, if it reconnects.
 * @returns why some could not; empty: all did
 * @throws ControlError when none could: all is as it was
 */
export async function handOverAll(threads: readonly HandingOver[]): Promise<readonly string[]> {
  const refusals: string[] = [];
  for (const thread of threads) {
    const refusal = await handOverOne({ name: thread.name, handOver: () => thread.handOver() });
    if (refusal !== null) {
      refusals.push(refusal);
    }
  }
  if (refusals.length === threads.length) {
    throw new ControlError(refusals.join('; '));
  }
  return refusals;
}
