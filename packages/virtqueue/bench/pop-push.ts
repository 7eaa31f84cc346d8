/**
 * What a chain costs: `next()` and `complete()` of a chain of four buffers, without the driver's share.
 * Run: `node -C @oriel/source bench/pop-push.ts`; a table goes to stderr, JSON to stdout.
 */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { SplitQueue, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from '../src/index.ts';
import { TestRing } from '../src/testing/index.ts';

interface Case {
  readonly name: string;
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
];

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

function measure(one: Case): number {
  const sys = openSys();
  using ram = new TestMemory(sys, { size: 0x80_0000, gpa: GPA });
  using memory = new GuestMemory(sys);
  ram.addTo(memory);
  const ring = new TestRing(ram, SIZE);
  fillRing(ram, ring, one.indirect);
  const queue = new SplitQueue(memory, ring.config({ eventIdx: one.eventIdx, callBatch: 8 }));
  const avail = new Uint16Array(ram.u8.buffer, ram.u8.byteOffset + ring.avail - ram.gpa, 2);
  const scratch = new Uint8Array(64);
  let availIdx = 0;
  const run = (chains: number): void => {
    for (let done = 0; done < chains; done += one.batch) {
      availIdx = (availIdx + one.batch) & 0xffff;
      Atomics.store(avail, 1, availIdx);
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
  if (!queue.healthy) throw new Error(`the queue broke: ${ring.errors[0]?.message}`);
  times.sort((a, b) => a - b);
  return times[ROUNDS >> 1]!;
}

const results = CASES.map((one) => ({ name: one.name, nsPerChain: Math.round(measure(one) * 10) / 10 }));
process.stderr.write(`${'case'.padEnd(32)}ns/chain\n`);
for (const { name, nsPerChain } of results) process.stderr.write(`${name.padEnd(32)}${nsPerChain.toFixed(1)}\n`);
process.stdout.write(`${JSON.stringify({ bench: 'virtqueue/pop-push', node: process.version, results })}\n`);
