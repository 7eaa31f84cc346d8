/** A thread that truncates a file to random sizes and lets it grow again. workerData: a `TruncateOrder`. */
import { workerData } from 'node:worker_threads';
import { openSys } from '@oriel/sys';
import type { TruncateOrder } from './order.ts';

const { fd, pages, state, seed } = workerData as TruncateOrder;
const sys = openSys();
const { pageSize } = sys.mem;

/** The state words: who may go on, the size in pages of the last truncation, the end. */
let random = seed;
for (;;) {
  // The sweep has begun: the truncation falls somewhere into it.
  Atomics.wait(state, 0, 0);
  if (Atomics.load(state, 2) === 1) {
    break;
  }
  random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
  const left = random % pages;
  const pause = (random >>> 8) % 300;
  const end = performance.now() + pause / 1000;
  while (performance.now() < end);
  sys.file.ftruncate(fd, left * pageSize);
  Atomics.store(state, 1, left);
  Atomics.store(state, 0, 0);
  Atomics.notify(state, 0);
}
