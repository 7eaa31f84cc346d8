import { expect } from 'chai';
import fc from 'fast-check';
import { RunHistory } from '../src/run-history.ts';

/** Stops each ring at its base, then begins the next run. */
function after(bases: readonly number[]): RunHistory {
  const history = new RunHistory(bases.length);
  for (const [index, base] of bases.entries()) {
    history.stopped(index, base);
  }
  history.begin();
  return history;
}

describe('RunHistory', () => {
  it('has nothing to judge at the first start', () => {
    const history = new RunHistory(2);
    history.begin();
    expect(history.open).to.equal(false);
    expect(history.judge(0, 0)).to.equal('unknown');
    expect(history.judge(1, 7)).to.equal('unknown');
  });

  it('takes base 0 of a ring that ran for a new driver', () => {
    const history = after([0, 12]);
    expect(history.judge(0, 0)).to.equal('unknown');
    expect(history.open).to.equal(true);
    expect(history.judge(1, 0)).to.equal('reset');
    expect(history.open).to.equal(false);
  });

  it('takes a saved base for a pause, also where another ring never moved', () => {
    const history = after([0, 12]);
    expect(history.judge(0, 0)).to.equal('unknown');
    expect(history.judge(1, 12)).to.equal('continue');
  });

  it('judges once a run', () => {
    const history = after([3, 4]);
    expect(history.judge(0, 0)).to.equal('reset');
    expect(history.judge(1, 0)).to.equal('unknown');
  });

  it('does not judge after a reset that was told', () => {
    const history = new RunHistory(1);
    history.stopped(0, 9);
    history.clear();
    history.begin();
    expect(history.judge(0, 0)).to.equal('unknown');
  });

  it('tells pause from reset for any bases and any order, as long as one ring moved', () => {
    const cases = fc
      .array(fc.integer({ min: 0, max: 65535 }), { minLength: 1, maxLength: 8 })
      .filter((bases) => bases.some((base) => base > 0))
      .chain((bases) =>
        fc.tuple(fc.constant(bases), fc.shuffledSubarray([...bases.keys()], { minLength: bases.length })),
      );
    fc.assert(
      fc.property(cases, fc.boolean(), ([bases, order], paused) => {
        const history = after(bases);
        const verdicts = order.map((index) => history.judge(index, paused ? bases[index]! : 0));
        expect(verdicts.filter((verdict) => verdict !== 'unknown')).to.deep.equal([paused ? 'continue' : 'reset']);
      }),
    );
  });
});
