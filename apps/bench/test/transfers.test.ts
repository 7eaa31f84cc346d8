import { expect } from 'chai';
import { DATA_BYTES } from '../src/share.ts';
import { Offsets } from '../src/works/transfers.ts';

const KIB = 1024;

describe('Offsets', () => {
  for (const pattern of ['random', 'sequential'] as const) {
    for (const bytes of [4 * KIB, 128 * KIB, 1024 * KIB]) {
      it(`meets every place of the file once (${pattern}, ${bytes} bytes)`, () => {
        const offsets = new Offsets({ bytes, pattern });
        const count = DATA_BYTES / bytes;
        const seen = new Set(Array.from({ length: count }, () => offsets.next()));
        expect(seen.size).to.equal(count);
        for (const offset of seen) expect(offset % bytes === 0 && offset < DATA_BYTES).to.equal(true);
        expect(seen.has(offsets.next())).to.equal(true);
      });
    }
  }

  it('go upwards where they are sequential, and not where they are random', () => {
    const take = (pattern: 'random' | 'sequential') => {
      const offsets = new Offsets({ bytes: 4 * KIB, pattern });
      return Array.from({ length: 100 }, () => offsets.next());
    };
    const rising = (offsets: number[]) =>
      offsets.filter((offset, i) => offset === (offsets[i - 1] ?? -1) + 4 * KIB).length;
    expect(rising(take('sequential'))).to.equal(99);
    expect(rising(take('random'))).to.be.lessThan(5);
  });
});
