/** Random packed rings with a fixed seed: whatever the driver writes, the queue ends in a verdict. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type Chain, type KeptChain, PACKED_RING_START, PackedQueue } from '../src/index.ts';
import type { PooledChain } from '../src/pooled-chain.ts';
import { PackedTestRing, type RawPackedDescriptor } from '../src/testing/index.ts';

const sys = openSys();
const SIZE = 13;
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
function descriptor(rnd: (below: number) => number): RawPackedDescriptor {
  const addr = [MiB + rnd(MiB), MiB + rnd(3 * MiB), 3 * MiB - rnd(40), rnd(2 ** 32) * rnd(2 ** 32)];
  const len = [rnd(200), 0, 16 * rnd(20), 2 ** 32 - 1 - rnd(3), rnd(2 ** 32)];
  const flags = [rnd(4), rnd(2), 2, rnd(8), 4][rnd(5)]!;
  return {
    addr: addr[rnd(20) === 3 ? 3 : rnd(3)]!,
    len: len[rnd(16) < 13 ? rnd(3) : 3 + rnd(2)]!,
    id: rnd(8) === 0 ? rnd(4) : rnd(65536),
    flags,
  };
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

describe('garbage in a packed ring', () => {
  it(`never hangs or kills the queue in ${ROUNDS} random rings, over stops`, () => {
    using _leaks = leakCheck();
    using ram = new TestMemory(sys, { size: MiB, gpa: MiB });
    using more = new TestMemory(sys, { size: MiB, gpa: 2 * MiB });
    using soft = new TestMemory(sys, { size: MiB, gpa: 3 * MiB, file: 'unsealed' });
    using memory = new GuestMemory(sys);
    for (const one of [ram, more, soft]) one.addTo(memory);
    const rnd = random(0x7ac_ced);
    const verdicts = new Map<string, number>();
    const note = (what: string): unknown => verdicts.set(what, (verdicts.get(what) ?? 0) + 1);
    const bytes = new Uint8Array(256);
    for (let round = 0; round < ROUNDS; round++) {
      const ring = new PackedTestRing(ram, SIZE);
      for (let i = 0; i < SIZE; i++) ring.setDesc(i, {});
      for (let i = 0; i < 64; i++) ring.setTable(MiB + 16 * (64 + rnd(512)), [descriptor(rnd)]);
      ring.setDriverArea(rnd(65536), rnd(4));
      const options = { eventIdx: rnd(2) === 1, indirect: rnd(8) !== 0, inOrder: rnd(3) === 0 };
      let queue = new PackedQueue(memory, ring.config(options));
      let kept: readonly KeptChain[] = [];
      let held: Chain[] = [];
      for (let turn = 0; turn < TURNS; turn++) {
        const chain = queue.next();
        if (chain === null) {
          if (!queue.healthy) break;
          // Anywhere, or where a driver would go on.
          if (rnd(4) === 0) {
            ring.setDesc(rnd(SIZE), { ...descriptor(rnd), flags: rnd(65536) });
          } else {
            ring.next = queue.base & 0x7fff;
            ring.wrap = (queue.base & 0x8000) !== 0;
            if (rnd(40) === 0)
              ring.offer(...Array.from({ length: SIZE }, () => ({ addr: MiB, len: rnd(9), flags: 1 })));
            else ring.offer(...Array.from({ length: 1 + rnd(4) }, () => descriptor(rnd)));
          }
        } else {
          checkPieces(chain);
          chain.read(rnd(300), bytes, 0, rnd(256));
          chain.write(rnd(300), bytes, 0, rnd(256));
          held.push(chain);
          note('taken');
        }
        while (held.length > rnd(6)) {
          const [one] = held.splice(rnd(held.length), 1) as [Chain];
          queue.complete(one, rnd(one.writeBytes + 1));
        }
        expect([queue.inFlight, queue.outstanding >= held.length]).to.deep.equal([held.length, true]);
        if (rnd(12) !== 0 || !queue.healthy) continue;
        for (const one of held.reverse()) if (rnd(2) === 0 || !queue.unfetch(one)) queue.keep(one);
        const { base } = queue.state;
        ({ kept } = queue.state);
        queue.stop();
        queue = new PackedQueue(memory, ring.config({ ...options, base, kept }));
        const heads = kept.filter((chain) => chain.written < 0).map((chain) => chain.head);
        held = heads.map((head) => queue.takeBack(head)!);
        expect(held.map((one) => one.head)).to.deep.equal(heads);
        for (const _ of heads) note('taken back');
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
      'taken',
      'taken back',
    ]);
    for (const [verdict, count] of verdicts) expect(count, verdict).to.be.greaterThan(5);
  }).timeout(60_000);

  it('takes any base, or none', () => {
    using ram = new TestMemory(sys, { size: MiB, gpa: MiB });
    using memory = new GuestMemory(sys);
    ram.addTo(memory);
    const ring = new PackedTestRing(ram, SIZE);
    const rnd = random(3);
    let taken = 0;
    for (let i = 0; i < 4000; i++) {
      const half = (): number => rnd(20) | (rnd(2) << 15);
      const base = rnd(8) === 0 ? rnd(2 ** 32) : (half() | (half() << 16)) >>> 0;
      try {
        const queue = new PackedQueue(memory, ring.config({ base }));
        expect([queue.base, queue.outstanding <= SIZE]).to.deep.equal([base, true]);
        taken++;
      } catch (error) {
        expect(error).to.have.property('code', 'ERR_VIRTQ_SIZE');
      }
    }
    expect(taken).to.be.within(200, 3800);
    expect(new PackedQueue(memory, ring.config()).base).to.equal(PACKED_RING_START);
  });
});
