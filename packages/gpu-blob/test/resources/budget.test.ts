import { expect } from 'chai';
import fc from 'fast-check';
import { Budget } from '../../src/resources/budget.ts';

describe('Budget', () => {
  it('gives out up to its limit, to the last one', () => {
    const budget = new Budget(100);
    expect([budget.take(60), budget.take(41), budget.used]).to.deep.equal([true, false, 60]);
    expect([budget.take(40), budget.take(1), budget.take(0), budget.used]).to.deep.equal([true, false, true, 100]);
    budget.give(30);
    expect([budget.fits(30), budget.fits(31), budget.used, budget.max]).to.deep.equal([true, false, 70, 100]);
  });

  it('does not wrap, round or take what is no amount', () => {
    const budget = new Budget(Number.MAX_SAFE_INTEGER);
    expect(budget.take(Number.MAX_SAFE_INTEGER)).to.equal(true);
    for (const amount of [1, 2 ** 53, 2 ** 64, Number.POSITIVE_INFINITY, Number.NaN, -1, 0.5]) {
      expect(budget.take(amount), String(amount)).to.equal(false);
    }
    expect(budget.used).to.equal(Number.MAX_SAFE_INTEGER);
  });

  it('refuses to take back more than it gave', () => {
    const budget = new Budget(10);
    budget.take(4);
    expect(() => budget.give(5)).to.throw(RangeError);
    expect(() => budget.give(-1)).to.throw(RangeError);
    expect(() => budget.give(Number.NaN)).to.throw(RangeError);
    expect(budget.used).to.equal(4);
    expect(() => new Budget(-1)).to.throw(RangeError);
    expect(() => new Budget(Number.POSITIVE_INFINITY)).to.throw(RangeError);
  });

  it('counts right over any row of takes and gives (property)', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.array(fc.integer({ min: -400, max: 400 })), (max, steps) => {
        const budget = new Budget(max);
        let used = 0;
        for (const step of steps) {
          if (step >= 0) {
            const fits = used + step <= max;
            expect(budget.take(step)).to.equal(fits);
            if (fits) used += step;
          } else if (-step <= used) {
            budget.give(-step);
            used += step;
          }
          expect(budget.used).to.equal(used);
        }
      }),
    );
  });
});
