/** One test for each rule of a ring's set-up that a front-end can break. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import { EFAULT } from '@oriel/sys';
import { expect } from 'chai';
import {
  SplitQueue,
  type SplitQueueConfig,
  VirtqueueError,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from '../src/index.ts';
import { TestRing } from '../src/testing/index.ts';
import { MiB, onStage, SIZE, type Stage, sys } from './stage.ts';

describe('a hostile front-end', () => {
  function codeOf(act: () => unknown): string {
    try {
      act();
    } catch (error) {
      if (error instanceof VirtqueueError) return `${error.code} ${error.blame}`;
      throw error;
    }
    return 'nothing thrown';
  }

  const cases: [string, string, (stage: Stage) => Partial<SplitQueueConfig>][] = [
    ['size 0', 'ERR_VIRTQ_SIZE', () => ({ size: 0 })],
    ['a size that is no power of two', 'ERR_VIRTQ_SIZE', () => ({ size: 12 })],
    ['size 65536', 'ERR_VIRTQ_SIZE', () => ({ size: 65536 })],
    ['a base of 17 bits', 'ERR_VIRTQ_SIZE', () => ({ base: 0x1_0000 })],
    ['a descriptor table at 8', 'ERR_VIRTQ_ALIGN', ({ ring, ram }) => ({ desc: ram.userOf(ring.desc) + 8 })],
    ['an avail ring at an odd address', 'ERR_VIRTQ_ALIGN', ({ ring, ram }) => ({ avail: ram.userOf(ring.avail) + 1 })],
    ['a used ring at 2', 'ERR_VIRTQ_ALIGN', ({ ring, ram }) => ({ used: ram.userOf(ring.used) + 2 })],
    ['a part outside memory', 'ERR_VIRTQ_ADDRESS', () => ({ desc: 0x1000 })],
    ['a part above 2^53', 'ERR_VIRTQ_ADDRESS', () => ({ used: 2 ** 64 - 4096 })],
    [
      'a descriptor table that leaves its region',
      'ERR_VIRTQ_ADDRESS',
      ({ ram }) => ({ desc: ram.userAddr + MiB - SIZE * 16 + 16 }),
    ],
    [
      'an avail ring that leaves its region',
      'ERR_VIRTQ_ADDRESS',
      ({ ram }) => ({ avail: ram.userAddr + MiB - SIZE * 2 - 2 }),
    ],
    ['a used ring that leaves its region', 'ERR_VIRTQ_ADDRESS', ({ ram }) => ({ used: ram.userAddr + MiB - SIZE * 8 })],
    ['a guest physical address given as a user address', 'ERR_VIRTQ_ADDRESS', ({ ring }) => ({ desc: ring.desc })],
    ['a user address given as a guest physical one', 'ERR_VIRTQ_ADDRESS', () => ({ addressSpace: 'gpa' as const })],
  ];
  for (const [what, code, overrides] of cases) {
    it(`REJECT: ${what}`, () => {
      onStage((stage) => expect(codeOf(() => stage.open(overrides(stage)))).to.equal(`${code} frontend`));
    });
  }

  it('REJECT: event fields that leave the region, when they are negotiated', () => {
    onStage((stage) => {
      const avail = stage.ram.userAddr + MiB - 4 - 2 * SIZE;
      expect(codeOf(() => stage.open({ avail, eventIdx: true }))).to.equal('ERR_VIRTQ_ADDRESS frontend');
      expect(codeOf(() => stage.open({ avail, eventIdx: false }))).to.equal('nothing thrown');
      const used = stage.ram.userAddr + MiB - 4 - 8 * SIZE;
      expect(codeOf(() => stage.open({ used, eventIdx: true }))).to.equal('ERR_VIRTQ_ADDRESS frontend');
      expect(codeOf(() => stage.open({ used, eventIdx: false }))).to.equal('nothing thrown');
    });
  });

  it('REJECT: a ring in memory that the device does not take; buffers there answer EFAULT', () => {
    onStage(({ ram, ring, data }) => {
      using other = new TestMemory(sys, { gpa: 16 * MiB });
      using memory = new GuestMemory(sys, { needs: () => memory.regions.length === 0 });
      ram.addTo(memory);
      other.addTo(memory);
      const away = new TestRing(other, SIZE);
      for (const part of ['desc', 'avail', 'used'] as const) {
        const config = ring.config({ [part]: other.userOf(away[part]) });
        expect(codeOf(() => new SplitQueue(memory, config))).to.equal('ERR_VIRTQ_MEMORY frontend');
      }
      ring.setDesc(0, { addr: other.gpa, len: 8, flags: VRING_DESC_F_NEXT, next: 1 });
      ring.setDesc(1, { addr: data, len: 4, flags: VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, next: 2 });
      ring.setDesc(2, { addr: other.gpa, len: 8, flags: VRING_DESC_F_WRITE });
      ring.offer(0);
      const chain = new SplitQueue(memory, ring.config()).next()!;
      const bytes = new Uint8Array(12);
      const iov = new Uint32Array(8);
      expect([chain.read(0, bytes, 0, 8), chain.write(0, bytes, 0, 12)]).to.deep.equal([-EFAULT, -EFAULT]);
      expect([chain.readIovec(0, 8, iov, 2), chain.writeIovec(4, 8, iov, 2)]).to.deep.equal([-EFAULT, -EFAULT]);
      expect(chain.write(0, bytes, 0, 4)).to.equal(4);
      ring.setDesc(3, { addr: other.gpa, len: 16, flags: VRING_DESC_F_INDIRECT });
      ring.offer(3);
      const queue = new SplitQueue(memory, ring.config({ base: 1 }));
      expect([queue.next(), ring.errors.map((error) => error.code)]).to.deep.equal([null, ['ERR_VIRTQ_INDIRECT']]);
    });
  });

  it('REJECT: a ring in memory that may be truncated', () => {
    onStage((stage) => {
      using soft = new TestMemory(sys, { gpa: 16 * MiB, file: 'unsealed' });
      soft.addTo(stage.memory);
      const ring = new TestRing(soft, SIZE);
      for (const part of ['desc', 'avail', 'used'] as const) {
        expect(codeOf(() => stage.open({ [part]: soft.userOf(ring[part]) }))).to.equal('ERR_VIRTQ_MEMORY frontend');
      }
    });
  });

  it('REJECT: options that make no sense', () => {
    onStage((stage) => {
      for (const options of [{ maxPieces: 0 }, { maxPieces: 1.5 }, { callBatch: 0 }, { callBatch: Number.NaN }]) {
        expect(() => stage.open(options)).to.throw(RangeError);
      }
    });
  });
});
