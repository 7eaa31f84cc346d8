/** The driver's half of two-threads.test.ts: sends numbers, checks that each comes back one higher. */
import { parentPort, workerData } from 'node:worker_threads';
import { check, EPOLL_CTL_ADD, EPOLLIN, Mapping, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';
import {
  type DriverConfig,
  layoutPackedRing,
  layoutSplitRing,
  PackedDriver,
  type RingDriver,
  SplitDriver,
} from '../src/index.ts';

/** What the test gives to the worker; descriptors are lent. */
export interface DriverWork {
  readonly ramFd: number;
  readonly ramBytes: number;
  readonly gpa: number;
  readonly size: number;
  readonly packed: boolean;
  readonly eventIdx: boolean;
  readonly kickFd: number;
  readonly callFd: number;
  readonly chains: number;
  readonly patienceMs: number;
}

const work = workerData as DriverWork;
const sys = openSys();
const { gpa, size } = work;
using ram = Mapping.shared(sys.mem, work.ramFd, work.ramBytes, 0, PROT_READ | PROT_WRITE);
const layout = work.packed ? layoutPackedRing(size) : layoutSplitRing(size);
const config: DriverConfig = {
  memory: ram.u8,
  memoryGpa: gpa,
  size,
  desc: gpa + layout.desc,
  avail: gpa + layout.avail,
  used: gpa + layout.used,
  eventIdx: work.eventIdx,
  indirectTables: gpa + 0x1_0000,
  maxIndirect: 2,
  kick: () => {
    check(sys.loop.eventfdSignal(work.kickFd), 'write');
  },
};
const driver: RingDriver = work.packed ? new PackedDriver(config) : new SplitDriver(config);
const cells = new Float64Array(ram.u8.buffer, 0x2_0000, size * 4);
const buffers = Array.from({ length: size }, (_, i) => [
  { gpa: gpa + 0x2_0000 + i * 32, len: 8, writable: false },
  { gpa: gpa + 0x2_0000 + i * 32 + 8, len: 8, writable: true },
]);
const free = Array.from({ length: size }, (_, i) => i);
const slotOf = new Map<number, number>();

const epoll = check(sys.loop.epollCreate(), 'epoll_create1');
check(sys.loop.epollCtl(epoll, EPOLL_CTL_ADD, work.callFd, EPOLLIN, 0), 'epoll_ctl');
const events = new Uint32Array(1);
const tokens = new Float64Array(1);

/** @returns chains taken from the used ring */
function receive(): number {
  let count = 0;
  while (driver.takeUsed()) {
    const slot = slotOf.get(driver.usedHead)!;
    if (driver.usedLen !== 8 || cells[slot * 4 + 1] !== cells[slot * 4]! + 1) {
      throw new Error(
        `chain ${driver.usedHead}: ${driver.usedLen} bytes, ${cells[slot * 4]} became ${cells[slot * 4 + 1]}`,
      );
    }
    free.push(slot);
    count++;
  }
  return count;
}

let sent = 0;
let received = 0;
parentPort!.postMessage('ready');
try {
  while (received < work.chains) {
    // Batches of changing length, so that both sides meet empty and full rings.
    for (let batch = 1 + (sent % 7); batch > 0 && sent < work.chains && free.length > 0; batch--) {
      const slot = free.pop()!;
      cells[slot * 4] = sent++;
      slotOf.set(driver.add(buffers[slot]!), slot);
    }
    driver.publish();
    received += receive();
    if (received === work.chains || (free.length > 0 && sent < work.chains)) continue;
    if (driver.enableCalls()) continue;
    if (sys.loop.epollWait(epoll, work.patienceMs, events, tokens) !== 1)
      throw new Error(`no call after ${received} chains`);
    sys.loop.eventfdDrain(work.callFd);
    driver.disableCalls();
  }
} finally {
  sys.fd.close(epoll);
}
