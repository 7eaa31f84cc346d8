import { expect } from 'chai';
import { geometricMean, median } from '../src/median.ts';

describe('median', () => {
  it('is the middle value, or the mean of two', () => {
    expect(median([3, 1, 2])).to.equal(2);
    expect(median([4, 1, 3, 2])).to.equal(2.5);
    expect(median(Float64Array.of(7))).to.equal(7);
    expect(median([])).to.be.NaN;
  });

  it('leaves its input as it is', () => {
    const values = [3, 1, 2];
    median(values);
    expect(values).to.deep.equal([3, 1, 2]);
  });
});

describe('geometricMean', () => {
  it('weighs twice as fast and half as fast alike', () => {
    expect(geometricMean([2, 0.5])).to.be.closeTo(1, 1e-12);
    expect(geometricMean([])).to.be.NaN;
  });
});
