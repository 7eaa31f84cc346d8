/** Driver and device on two threads, each asleep when it has nothing to do: what the barriers are for. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { check, EPOLL_CTL_ADD, EPOLLIN, Fd, openSys } from '@oriel/sys';
import { expect } from 'chai';
import { PackedQueue, type QueueConfig, type RingQueue, SplitQueue } from '../src/index.ts';
import { PackedTestRing, TestRing } from '../src/testing/index.ts';
import type { DriverWork } from './driver-worker.ts';

const sys = openSys();
const SIZE = 16;
const CHAINS = 60_000;
const PATIENCE_MS = 3000;

/** Serves the ring in this thread until all chains are done. @returns the reason why it gave up, or '' */
function serve(queue: RingQueue, kick: Fd): string {
  using epoll = new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1'));
  check(sys.loop.epollCtl(epoll.fd, EPOLL_CTL_ADD, kick.fd, EPOLLIN, 0), 'epoll_ctl');
  const events = new Uint32Array(1);
  const tokens = new Float64Array(1);
  const cell = new Float64Array(1);
  const bytes = new Uint8Array(cell.buffer);
  while (queue.stats.completed < CHAINS && queue.healthy) {
    for (let chain = queue.next(); chain !== null; chain = queue.next()) {
      chain.read(0, bytes, 0, 8);
      cell[0] = cell[0]! + 1;
      chain.write(0, bytes, 0, 8);
      queue.complete(chain, 8);
    }
    queue.flush();
    if (queue.stats.completed === CHAINS) break;
    if (sys.loop.epollWait(epoll.fd, PATIENCE_MS, events, tokens) !== 1) {
      return `no kick after ${queue.stats.completed} chains`;
    }
    sys.loop.eventfdDrain(kick.fd);
  }
  return '';
}

function open(memory: GuestMemory, ram: TestMemory, packed: boolean, config: Partial<QueueConfig>) {
  const ring = packed ? new PackedTestRing(ram, SIZE) : new TestRing(ram, SIZE);
  const queue: RingQueue = packed
    ? new PackedQueue(memory, ring.config(config))
    : new SplitQueue(memory, ring.config(config));
  return { errors: ring.errors, queue };
}

describe('driver and device on two threads', () => {
  for (const { packed, eventIdx } of [
    { packed: false, eventIdx: true },
    { packed: false, eventIdx: false },
    { packed: true, eventIdx: true },
    { packed: true, eventIdx: false },
  ]) {
    it(`lose no chain, kick or call (${packed ? 'packed' : 'split'}, event idx ${eventIdx})`, async () => {
      using ram = new TestMemory(sys);
      using memory = new GuestMemory(sys);
      ram.addTo(memory);
      using kick = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
      using call = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
      const work: DriverWork = {
        ramFd: ram.file.fd,
        ramBytes: ram.size,
        gpa: ram.gpa,
        size: SIZE,
        packed,
        eventIdx,
        kickFd: kick.fd,
        callFd: call.fd,
        chains: CHAINS,
        patienceMs: PATIENCE_MS,
      };
      const worker = new Worker(new URL('./driver-worker.ts', import.meta.url), { workerData: work });
      const failed: unknown[] = [];
      worker.on('error', (error) => failed.push(error));
      const exit = once(worker, 'exit');
      await once(worker, 'message');
      const signal = (): void => {
        check(sys.loop.eventfdSignal(call.fd), 'write');
      };
      const { errors, queue } = open(memory, ram, packed, { eventIdx, call: signal });
      expect(serve(queue, kick)).to.equal('');
      await exit;
      expect([failed, errors, queue.stats.completed]).to.deep.equal([[], [], CHAINS]);
      expect(queue.stats.callsSuppressed).to.be.greaterThan(0);
    }).timeout(30_000);
  }
});
