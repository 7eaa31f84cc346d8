/** A thread whose vCPU sweeps over a window of another thread without pause. workerData: a `SweepOrder`. */
import { parentPort, workerData } from 'node:worker_threads';
import { openSys } from '@oriel/sys';
import { type GuestWindow, MicroVm } from '../vm/micro-vm.ts';
import { pageStamp, type SweepOrder } from './order.ts';

const { addr, size, pages, state, chunkPages } = workerData as SweepOrder;
const FIRST_CHUNK = 4;
const sys = openSys();
const { pageSize } = sys.mem;
/** No access may end in an exit, so nothing has to be decided here. */
const window: GuestWindow = {
  addr,
  size,
  guestFault: () => 'stop',
  read: () => -1,
  write: () => -1,
  entries: () => [],
  gaps: () => [{ shmOffset: 0, len: size }],
};
using vm = new MicroVm({ sys, window });
parentPort!.postMessage('ready');
while (Atomics.load(state, 1) === 0) {
  const { report, words } = vm.sweep(0, pageSize, pages);
  if (report.end !== 'done' || report.exits.length > 0) {
    Atomics.add(state, 3, 1);
  }
  for (let page = 0; page < pages; page += 1) {
    if (words[page] === 0) {
      Atomics.add(state, FIRST_CHUNK + Math.floor(page / chunkPages), 1);
    } else if (words[page] !== pageStamp(page)) {
      Atomics.add(state, 2, 1);
    }
  }
  Atomics.add(state, 0, 1);
  Atomics.notify(state, 0);
}
