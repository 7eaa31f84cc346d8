/**
 * What a chain costs: `next()` and `complete()` of a chain of four buffers, without the driver's share (a packed
 * ring's driver writes its descriptors anew each time, and that is counted).
 * Run: `node -C @oriel/source bench/pop-push.ts`; a table goes to stderr, JSON to stdout.
 */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import {
  PackedQueue,
  type RingQueue,
  SplitQueue,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from '../src/index.ts';
import { PackedTestRing, TestRing } from '../src/testing/index.ts';

interface Case {
  readonly name: string;
  readonly packed?: boolean;
  readonly indirect: boolean;
  readonly eventIdx: boolean;
  readonly batch: number;
  /** Also reads a 40-byte header and writes a 16-byte one, as a FUSE device does. */
  readonly headers: boolean;
}

const SIZE = 1024;
const BUFFERS = [
  { len: 40, flags: 0 },
  { len: 64, flags: 0 },
  { len: 16, flags: VRING_DESC_F_WRITE },
  { len: 4096, flags: VRING_DESC_F_WRITE },
];
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
  { name: 'packed, indirect, batch 32', packed: true, indirect: true, eventIdx: true, batch: 32, headers: false },
  { name: 'packed, indirect, batch 1', packed: true, indirect: true, eventIdx: true, batch: 1, headers: false },
  { name: 'packed, direct, batch 32', packed: true, indirect: false, eventIdx: true, batch: 32, headers: false },
  { name: 'packed, indirect, headers', packed: true, indirect: true, eventIdx: true, batch: 32, headers: true },
];

/** A queue over a ring that is filled, and the driver's share: making the next `count` chains available. */
interface Bench {
  readonly queue: RingQueue;
  readonly offer: (count: number) => void;
  readonly errors: readonly Error[];
}

function fillRing(ram: TestMemory, ring: TestRing, indirect: boolean): void {
  const tables = Math.ceil(ring.end / 4096) * 4096;
  const data = tables + SIZE * 64;
  for (let head = 0; head < SIZE; head++) {
    const chain = BUFFERS.map((buffer, i) => ({
      addr: data + (head * 4 + i) * 64,
      len: buffer.len,
      flags: buffer.flags | (i < 3 ? VRING_DESC_F_NEXT : 0),
      next: i < 3 ? i + 1 : 0,
    }));
    if (indirect) {
      ring.setTable(tables + head * 64, chain);
      ring.setDesc(head, { addr: tables + head * 64, len: 64, flags: VRING_DESC_F_INDIRECT });
      ring.setHead(head, head);
    } else {
      const first = head * 4;
      if (first >= SIZE) continue;
      for (const [i, d] of chain.entries()) ring.setDesc(first + i, { ...d, next: d.next === 0 ? 0 : first + d.next });
      for (let slot = head; slot < SIZE; slot += SIZE / 4) ring.setHead(slot, first);
    }
  }
  ram.u8.fill(1, data - ram.gpa, data - ram.gpa + 4096);
}

function splitBench(ram: TestMemory, memory: GuestMemory, one: Case): Bench {
  const ring = new TestRing(ram, SIZE);
  fillRing(ram, ring, one.indirect);
  const queue = new SplitQueue(memory, ring.config({ eventIdx: one.eventIdx, callBatch: 8 }));
  const avail = new Uint16Array(ram.u8.buffer, ram.u8.byteOffset + ring.avail - ram.gpa, 2);
  let availIdx = 0;
  const offer = (count: number): void => {
    availIdx = (availIdx + count) & 0xffff;
    Atomics.store(avail, 1, availIdx);
  };
  return { queue, offer, errors: ring.errors };
}

/** The device overwrites descriptors in a packed ring: here the driver writes its chain's words anew, each time. */
function packedBench(ram: TestMemory, memory: GuestMemory, one: Case): Bench {
  const ring = new PackedTestRing(ram, SIZE);
  const queue = new PackedQueue(memory, ring.config({ eventIdx: one.eventIdx, callBatch: 8 }));
  const tables = Math.ceil(ring.end / 4096) * 4096;
  const data = tables + SIZE * 64;
  const chainOf = (i: number) =>
    BUFFERS.map((buffer, k) => ({
      addr: data + (i * 4 + k) * 64,
      len: buffer.len,
      flags: buffer.flags | (k < 3 && !one.indirect ? VRING_DESC_F_NEXT : 0),
      id: i,
    }));
  const slots = one.indirect ? 1 : 4;
  for (let first = 0; first < SIZE; first += slots) {
    if (one.indirect) {
      ring.setTable(tables + first * 64, chainOf(first));
      ring.offer({ addr: tables + first * 64, len: 64, flags: VRING_DESC_F_INDIRECT, id: first });
    } else {
      ring.offer(...chainOf(first / 4));
    }
  }
  // What was offered is the second lap's pattern for the reader below; the first lap begins now.
  const words = new Uint32Array(ram.u8.buffer, ram.u8.byteOffset + ring.desc - ram.gpa, SIZE * 4);
  const lens = words.filter((_, at) => at % 4 === 2);
  const flags = words.filter((_, at) => at % 4 === 3);
  for (let slot = 0; slot < SIZE; slot++) words[slot * 4 + 3] = 0;
  let next = 0;
  let lap = 0;
  const offer = (count: number): void => {
    for (let left = count * slots; left > 0; left--) {
      words[next * 4 + 2] = lens[next]!;
      // AVAIL in one lap, USED in the next.
      words[next * 4 + 3] = lap === 0 ? flags[next]! : flags[next]! ^ 0x8080_0000;
      next++;
      if (next < SIZE) continue;
      next = 0;
      lap ^= 1;
    }
  };
  return { queue, offer, errors: ring.errors };
}

function measure(one: Case): number {
  const sys = openSys();
  using ram = new TestMemory(sys, { size: 0x80_0000, gpa: GPA });
  using memory = new GuestMemory(sys);
  ram.addTo(memory);
  const { queue, offer, errors } = one.packed ? packedBench(ram, memory, one) : splitBench(ram, memory, one);
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
