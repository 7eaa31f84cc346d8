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

  it(`never takes a chain back twice, or more than there are, in ${ROUNDS} rings that change while the queue is stopped`, () => {
    using _leaks = leakCheck();
    using ram = new TestMemory(sys, { size: MiB, gpa: MiB });
    using soft = new TestMemory(sys, { size: MiB, gpa: 2 * MiB, file: 'unsealed' });
    using memory = new GuestMemory(sys);
    for (const one of [ram, soft]) one.addTo(memory);
    const rnd = random(0x7a6e_ba);
    const verdicts = new Map<string, number>();
    const note = (what: string): unknown => verdicts.set(what, (verdicts.get(what) ?? 0) + 1);
    for (let round = 0; round < ROUNDS; round++) {
      const ring = new TestRing(ram, SIZE);
      for (let i = 0; i < SIZE; i++) ring.setDesc(i, { addr: MiB + rnd(MiB - 256), len: rnd(200), flags: 2 * rnd(2) });
      for (let i = 0; i < SIZE; i++) ring.setHead(i, i);
      const base = rnd(65536);
      ring.usedIdx = base;
      ring.availIdx = base + rnd(SIZE + 1);
      const first = new SplitQueue(memory, ring.config({ base }));
      const heads: number[] = [];
      for (let chain = first.next(); chain !== null; chain = first.next()) {
        if (rnd(3) === 0) first.complete(chain, 0);
        else heads.push(first.keep(chain));
      }
      expect([first.outstanding, first.healthy]).to.deep.equal([heads.length, true]);
      first.stop();
      const changed = rnd(3) !== 0;
      for (let i = 0; changed && i < SIZE; i++) if (rnd(3) === 0) ring.setDesc(i, descriptor(rnd, SIZE));
      if (rnd(8) === 0) ring.usedIdx = rnd(65536);
      const { usedIdx } = ring;
      const errors = ring.errors.length;
      const second = new SplitQueue(memory, ring.config({ base: first.base }));
      const most = second.outstanding;
      const back: Chain[] = [];
      for (const head of [...heads, ...heads, rnd(SIZE), rnd(65536)]) {
        const chain = second.takeBack(head);
        if (chain === null) continue;
        checkPieces(chain);
        expect(back.every((other) => other.head !== chain.head)).to.equal(true);
        back.push(chain);
        note('taken back');
      }
      const refused = ring.errors.slice(errors);
      for (const error of refused) note(error.code);
      const returned = refused.filter((error) => error.code === 'ERR_VIRTQ_BUFFER').length;
      expect([second.inFlight, (ring.usedIdx - usedIdx) & 0xffff]).to.deep.equal([back.length, returned]);
      expect(back.length + returned).to.be.at.most(most);
      expect(refused.length - returned).to.equal(second.healthy ? 0 : 1);
      if (!changed && usedIdx === ((first.base - heads.length) & 0xffff))
        expect(back.length).to.be.at.least(heads.length);
      if (second.healthy) for (const chain of back) second.complete(chain, chain.writeBytes);
      second.stop();
    }
    for (const code of [
      'taken back',
      'ERR_VIRTQ_BUFFER',
      'ERR_VIRTQ_CHAIN_LOOP',
      'ERR_VIRTQ_INDIRECT',
      'ERR_VIRTQ_NEXT',
    ]) {
      expect(verdicts.get(code) ?? 0, code).to.be.greaterThan(20);
    }
  });
});
