/**
 * What a chain costs: `next()` and `complete()` of a chain of four buffers, without the driver's share (a packed
 * ring's driver writes its descriptors anew each time, and that is counted).
 * Run: `node -C @oriel/source bench/pop-push.ts`; a table goes to stderr, JSON to stdout.
 */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { inflightBytes, PackedQueue, type RingQueue, SplitQueue } from '../src/index.ts';
import { RingLoad } from '../src/testing/index.ts';

interface Case {
  readonly name: string;
  readonly packed?: boolean;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
  readonly batch: number;
  /** Also reads a 40-byte header and writes a 16-byte one, as a FUSE device does. */
  readonly headers: boolean;
  /** Writes down what is in flight. */
  readonly inflight?: boolean;
}

const SIZE = 1024;
const ROUNDS = 7;
const CHAINS = 400_000;
/** Above 4 GiB, as most of a real guest's memory is. */
const GPA = 0x1_4000_0000;

const CASES: readonly Case[] = [
  { name: 'indirect, batch 32', indirect: true, eventIdx: true, batch: 32, headers: false },
  { name: 'indirect, batch 1', indirect: true, eventIdx: true, batch: 1, headers: false },
  { name: 'indirect, batch 32, flags', indirect: true, eventIdx: false, batch: 32, headers: false },
  { name: 'direct, batch 32', indirect: false, eventIdx: true, batch: 32, headers: false },
  { name: 'indirect, batch 32, headers', indirect: true, eventIdx: true, batch: 32, headers: true },
  { name: 'indirect, batch 32, in-flight', indirect: true, eventIdx: true, batch: 32, headers: false, inflight: true },
  { name: 'packed, indirect, batch 32', packed: true, indirect: true, eventIdx: true, batch: 32, headers: false },
  { name: 'packed, indirect, batch 1', packed: true, indirect: true, eventIdx: true, batch: 1, headers: false },
  { name: 'packed, direct, batch 32', packed: true, indirect: false, eventIdx: true, batch: 32, headers: false },
  { name: 'packed, indirect, headers', packed: true, indirect: true, eventIdx: true, batch: 32, headers: true },
  {
    name: 'packed, indirect, in-flight',
    packed: true,
    indirect: true,
    eventIdx: true,
    batch: 32,
    headers: false,
    inflight: true,
  },
];

function measure(one: Case): number {
  const sys = openSys();
  using ram = new TestMemory(sys, { size: 0x80_0000, gpa: GPA });
  using memory = new GuestMemory(sys);
  ram.addTo(memory);
  const { packed = false, indirect, eventIdx } = one;
  const load = new RingLoad(ram, { packed, indirect, size: SIZE });
  const { offer, errors } = load;
  const inflight = one.inflight === true ? new Uint8Array(inflightBytes(packed, SIZE)) : null;
  const config = load.config({ eventIdx, inflight });
  const queue: RingQueue = packed ? new PackedQueue(memory, config) : new SplitQueue(memory, config);
  const scratch = new Uint8Array(64);
  const run = (chains: number): void => {
    for (let done = 0; done < chains; done += one.batch) {
      offer(one.batch);
      for (let chain = queue.next(); chain !== null; chain = queue.next()) {
        if (one.headers) {
          chain.read(0, scratch, 0, 40);
          chain.write(0, scratch, 0, 16);
        }
        queue.complete(chain, 16);
      }
      queue.flush();
    }
  };
  run(CHAINS);
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const start = process.hrtime.bigint();
    run(CHAINS);
    times.push(Number(process.hrtime.bigint() - start) / CHAINS);
  }
  if (!queue.healthy) throw new Error(`the queue broke: ${errors[0]?.message}`);
  times.sort((a, b) => a - b);
  return times[ROUNDS >> 1]!;
}

const results = CASES.map((one) => ({ name: one.name, nsPerChain: Math.round(measure(one) * 10) / 10 }));
process.stderr.write(`${'case'.padEnd(32)}ns/chain\n`);
for (const { name, nsPerChain } of results) process.stderr.write(`${name.padEnd(32)}${nsPerChain.toFixed(1)}\n`);
process.stdout.write(`${JSON.stringify({ bench: 'virtqueue/pop-push', node: process.version, results })}\n`);
