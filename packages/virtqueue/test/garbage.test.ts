/** Random rings with a fixed seed: whatever the driver writes, the queue ends in a verdict. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type Chain, SplitQueue } from '../src/index.ts';
import type { PooledChain } from '../src/pooled-chain.ts';
import { type RawDescriptor, TestRing } from '../src/testing/index.ts';

const sys = openSys();
const SIZE = 16;
const MiB = 0x10_0000;
const ROUNDS = 4000;
const TURNS = 64;

/** A small generator (mulberry32), so that a failing round can be run again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** Mostly plausible, often at an edge, sometimes anything. */
function descriptor(rnd: (below: number) => number, entries: number): RawDescriptor {
  const addr = [MiB + rnd(MiB), MiB + rnd(3 * MiB), 3 * MiB - rnd(40), rnd(2 ** 32) * rnd(2 ** 32)][
    rnd(20) % 4 === 3 ? 3 : rnd(3)
  ]!;
  const len = [rnd(200), 0, 16 * rnd(20), 2 ** 32 - 1 - rnd(3), rnd(2 ** 32)][rnd(16) < 13 ? rnd(3) : 3 + rnd(2)]!;
  const flags = [rnd(4), rnd(2), rnd(8), 4, rnd(65536)][rnd(5)]!;
  return { addr, len, flags, next: rnd(12) === 0 ? rnd(65536) : rnd(entries) };
}

/** The pieces lie in their regions and add up. */
function checkPieces(chain: Chain): void {
  const { regions, offsets, lens, readCount, writeCount } = chain as PooledChain;
  let [readable, writable] = [0, 0];
  for (let i = 0; i < readCount + writeCount; i++) {
    expect(offsets[i]! + lens[i]!).to.be.at.most(regions[i]!.size);
    if (i < readCount) readable += lens[i]!;
    else writable += lens[i]!;
  }
  expect([readable, writable]).to.deep.equal([chain.readBytes, chain.writeBytes]);
}

describe('garbage in the ring', () => {
  it(`never hangs or kills the queue in ${ROUNDS} random rings`, () => {
    using _leaks = leakCheck();
    using ram = new TestMemory(sys, { size: MiB, gpa: MiB });
    using more = new TestMemory(sys, { size: MiB, gpa: 2 * MiB });
    using soft = new TestMemory(sys, { size: MiB, gpa: 3 * MiB, file: 'unsealed' });
    using memory = new GuestMemory(sys);
    for (const one of [ram, more, soft]) one.addTo(memory);
    const rnd = random(0x0121_0e1);
    const verdicts = new Map<string, number>();
    const note = (what: string): unknown => verdicts.set(what, (verdicts.get(what) ?? 0) + 1);
    const bytes = new Uint8Array(256);
    for (let round = 0; round < ROUNDS; round++) {
      const ring = new TestRing(ram, SIZE);
      for (let i = 0; i < SIZE; i++) ring.setDesc(i, descriptor(rnd, SIZE));
      for (let i = 0; i < 64; i++) ring.setTable(MiB + 16 * (64 + rnd(512)), [descriptor(rnd, 20)]);
      for (let i = 0; i < SIZE; i++) ring.setHead(i, rnd(40) === 0 ? rnd(65536) : rnd(SIZE));
      ring.availFlags = rnd(2);
      ring.usedEvent = rnd(65536);
      const base = rnd(65536);
      ring.availIdx = rnd(30) === 0 ? rnd(65536) : base + rnd(SIZE + 1);
      const queue = new SplitQueue(memory, ring.config({ base, eventIdx: rnd(2) === 1, indirect: rnd(8) !== 0 }));
      const kept: Chain[] = [];
      for (let turn = 0; turn < TURNS; turn++) {
        const chain = queue.next();
        if (chain === null) {
          if (!queue.healthy) break;
          ring.availIdx += rnd(4);
          continue;
        }
        checkPieces(chain);
        chain.read(rnd(300), bytes, 0, rnd(256));
        chain.write(rnd(300), bytes, 0, rnd(256));
        kept.push(chain);
        while (kept.length > rnd(6)) {
          const [one] = kept.splice(rnd(kept.length), 1) as [Chain];
          queue.complete(one, rnd(one.writeBytes + 1));
        }
        expect(queue.inFlight).to.equal(kept.length);
        note('taken');
      }
      for (const error of ring.errors) note(error.code);
      const broken = ring.errors.filter((e) => e.code !== 'ERR_VIRTQ_BUFFER').length;
      expect(broken, `round ${round}`).to.equal(queue.healthy ? 0 : 1);
      queue.stop();
    }
    // The generator is worth something only if it gets everywhere.
    expect([...verdicts.keys()].sort()).to.deep.equal([
      'ERR_VIRTQ_BUFFER',
      'ERR_VIRTQ_CHAIN_BYTES',
      'ERR_VIRTQ_CHAIN_LOOP',
      'ERR_VIRTQ_CHAIN_ORDER',
      'ERR_VIRTQ_HEAD',
      'ERR_VIRTQ_INDEX',
      'ERR_VIRTQ_INDIRECT',
      'ERR_VIRTQ_NEXT',
      'taken',
    ]);
    for (const [verdict, count] of verdicts) expect(count, verdict).to.be.greaterThan(20);
  });
});
