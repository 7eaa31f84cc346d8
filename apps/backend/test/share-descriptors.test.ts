import { LEAST_DESCRIPTORS } from '@oriel/fs-passthrough';
import { profiles } from '@oriel/vhost-user';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { shareDescriptors } from '../src/share-descriptors.ts';

describe('shareDescriptors', () => {
  const cases = {
    'without a window or locks': { windowSize: 0, posixLocks: false, maxMappings: 480 },
    'with locks, which take a part of them': { windowSize: 1 << 28, posixLocks: true, maxMappings: 480 },
    'with locks, which take their most': { windowSize: 1 << 28, posixLocks: true, maxMappings: 1 << 20 },
  };
  for (const [name, { windowSize, posixLocks, maxMappings }] of Object.entries(cases)) {
    it(`takes as many as it says that it wants, ${name}`, () => {
      const profile = { ...profiles.qemu, limits: { ...profiles.qemu.limits, maxMappings } };
      const left = (descriptors: number): number =>
        shareDescriptors({ descriptors, numRequestQueues: 1, windowSize, share: { posixLocks } }, profile);
      let words = '';
      try {
        left(64);
      } catch (error) {
        expect(error).to.be.instanceOf(CliError);
        words = (error as CliError).message;
      }
      const least = Number(/too few: (\d+) at least/.exec(words)![1]);
      expect(left(least)).to.be.within(LEAST_DESCRIPTORS, LEAST_DESCRIPTORS + 1);
      expect(() => left(least - 1)).to.throw(CliError, `${least} at least`);
    });
  }
});
