/** Our rings, as a program beside its peers: `ours.ts split|packed pieces|headers BATCH SECONDS` prints chains, seconds, calls. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { PackedQueue, type RingQueue, SplitQueue } from '@oriel/virtqueue';
import { RingLoad } from '@oriel/virtqueue/testing';

const SIZE = 1024;
const RAM = 0x80_0000;
/** Above 4 GiB, as most of a real guest's memory is. */
const GPA = 0x1_4000_0000;
const REQUEST = 40;
const ANSWER = 16;
/** Batches between two looks at the clock. */
const BATCHES = 256;
/** Seconds after which compiled code is as it stays. */
const WARM_UP = 0.3;

const [format, work, batchText, secondsText] = process.argv.slice(2);
const packed = format === 'packed';
const headers = work === 'headers';
const batch = Number(batchText);

const sys = openSys();
using ram = new TestMemory(sys, { size: RAM, gpa: GPA });
using memory = new GuestMemory(sys);
ram.addTo(memory);
const load = new RingLoad(ram, { packed, indirect: true, size: SIZE });
let calls = 0;
const call = (): void => {
  calls++;
};
const queue: RingQueue = packed
  ? new PackedQueue(memory, load.config({ call }))
  : new SplitQueue(memory, load.config({ call }));
const scratch = new Uint8Array(REQUEST);

/** @returns chains */
function run(batches: number): number {
  let chains = 0;
  for (let i = 0; i < batches; i++) {
    load.offer(batch);
    for (let chain = queue.next(); chain !== null; chain = queue.next()) {
      if (headers) {
        chain.read(0, scratch, 0, REQUEST);
        chain.write(0, scratch, 0, ANSWER);
      }
      queue.complete(chain, ANSWER);
      chains++;
    }
    queue.flush();
  }
  return chains;
}

/** CPU time of this thread, seconds: other work on the machine then counts little. */
function now(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

for (const end = now() + WARM_UP; now() < end; ) run(BATCHES);
const start = now();
let chains = 0;
let seconds = 0;
while (seconds < Number(secondsText)) {
  chains += run(BATCHES);
  seconds = now() - start;
}
if (!queue.healthy) throw new Error(`the queue broke: ${load.errors[0]?.message}`);
process.stdout.write(`${chains} ${seconds} ${calls}\n`);
