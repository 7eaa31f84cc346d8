import { expect } from 'chai';
import { geometricMean, median, percentile } from '../src/median.ts';

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

describe('percentile', () => {
  it('is the least value that so many of a hundred do not exceed', () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i);
    expect(percentile(values, 99)).to.equal(198);
    expect(percentile(values, 100)).to.equal(200);
    expect(percentile([7], 99)).to.equal(7);
    expect(percentile([], 99)).to.be.NaN;
    expect(values[0]).to.equal(200);
  });
});

describe('geometricMean', () => {
  it('weighs twice as fast and half as fast alike', () => {
    expect(geometricMean([2, 0.5])).to.be.closeTo(1, 1e-12);
    expect(geometricMean([])).to.be.NaN;
  });
});
