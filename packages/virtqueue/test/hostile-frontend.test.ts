/** One test for each rule of a ring's set-up that a front-end can break. */
import { TestMemory } from '@oriel/guest-memory/testing';
import { expect } from 'chai';
import { type SplitQueueConfig, VirtqueueError } from '../src/index.ts';
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
