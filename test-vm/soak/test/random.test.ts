import { expect } from 'chai';
import { Xorshift } from '../src/random.ts';

describe('Xorshift', () => {
  const first = (seed: number): number[] => {
    const random = new Xorshift(seed);
    return Array.from({ length: 20 }, () => random.u32());
  };

  it('gives the same numbers for the same seed, others for another', () => {
    expect(first(7)).to.deep.equal(first(7));
    for (const seed of [0, 1, 2, 0xffff_ffff]) expect(first(seed)).not.to.deep.equal(first(7));
  });

  it('stays within its bounds and reaches both ends', () => {
    const random = new Xorshift(3);
    const seen = new Set(Array.from({ length: 2000 }, () => random.from(-3, 4)));
    expect([...seen].sort((a, b) => a - b)).to.deep.equal([-3, -2, -1, 0, 1, 2, 3, 4]);
  });

  it('picks names by weight', () => {
    const random = new Xorshift(5);
    const counts = { often: 0, seldom: 0, never: 0 };
    for (let i = 0; i < 4000; i++) counts[random.weighted({ often: 30, seldom: 10, never: 0 })]++;
    expect(counts.never).to.equal(0);
    expect(counts.often).to.be.within(2800, 3200);
  });
});
