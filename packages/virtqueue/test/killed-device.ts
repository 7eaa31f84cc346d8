/** The device's half of killed.test.ts: answers numbers until it is killed. Descriptors: 3 the RAM, 4 the area and the runs. */
import { GuestMemory } from '@oriel/guest-memory';
import { Fd, Mapping, openSys, PROT_READ, PROT_WRITE } from '@oriel/sys';
import { PackedQueue, type QueueConfig, type RingQueue, SplitQueue } from '../src/index.ts';

/** What the test tells the device; callbacks are the device's own. */
export interface KilledDeviceWork {
  readonly packed: boolean;
  readonly gpa: number;
  readonly ramBytes: number;
  readonly areaBytes: number;
  /** How many numbers there can be: for each, how often it was carried out. */
  readonly runs: number;
  readonly config: Omit<QueueConfig, 'call' | 'onError'>;
}

const RAM = 3;
const STATE = 4;

const work = JSON.parse(process.argv[2]!) as KilledDeviceWork;
const sys = openSys();
const memory = new GuestMemory(sys);
memory.add({ gpa: work.gpa, size: work.ramBytes, userAddr: work.gpa, mmapOffset: 0, fd: new Fd(sys.fd, RAM) });
const bytes = work.areaBytes + work.runs * 4;
const state = Mapping.shared(sys.mem, STATE, bytes, 0, PROT_READ | PROT_WRITE);
const runs = new Uint32Array(state.u8.buffer, state.u8.byteOffset + work.areaBytes, work.runs);
const config: QueueConfig = {
  ...work.config,
  inflight: state.u8.subarray(0, work.areaBytes),
  call: () => {},
  onError: (error) => {
    throw error;
  },
};
const queue: RingQueue = work.packed ? new PackedQueue(memory, config) : new SplitQueue(memory, config);
const cell = new Uint32Array(1);
const cellBytes = new Uint8Array(cell.buffer);
for (;;) {
  // By threes and out of order, so that some are always in flight.
  const held = [queue.next(), queue.next(), queue.next()].filter((chain) => chain !== null);
  for (const chain of held) {
    chain.read(0, cellBytes, 0, 4);
    const number = cell[0]!;
    if (!chain.again && runs[number] !== 0) throw new Error(`${number} runs again and does not know it`);
    runs[number] = runs[number]! + 1;
  }
  for (const chain of held.reverse()) {
    chain.read(0, cellBytes, 0, 4);
    chain.write(0, cellBytes, 0, 4);
    queue.complete(chain, 4);
  }
  queue.flush();
}
