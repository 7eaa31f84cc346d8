import { expect } from 'chai';
import fc from 'fast-check';
import { RunHistory } from '../src/run-history.ts';

/** Stops each ring at its base, then begins the next run. */
function after(bases: readonly number[]): RunHistory {
  const history = new RunHistory(bases.length);
  for (const [index, base] of bases.entries()) {
    history.stopped(index, base, 0);
  }
  history.begin();
  return history;
}

describe('RunHistory', () => {
  it('has nothing to judge at the first start', () => {
    const history = new RunHistory(2);
    history.begin();
    expect(history.open).to.equal(false);
    expect(history.judge(0, 0, 0)).to.equal('unknown');
    expect(history.judge(1, 7, 0)).to.equal('unknown');
  });

  it('takes base 0 of a ring that ran for a new driver', () => {
    const history = after([0, 12]);
    expect(history.judge(0, 0, 0)).to.equal('unknown');
    expect(history.open).to.equal(true);
    expect(history.judge(1, 0, 0)).to.equal('reset');
    expect(history.open).to.equal(false);
  });

  it('takes a saved base for a pause, also where another ring never moved', () => {
    const history = after([0, 12]);
    expect(history.judge(0, 0, 0)).to.equal('unknown');
    expect(history.judge(1, 12, 0)).to.equal('continue');
  });

  it('judges once a run', () => {
    const history = after([3, 4]);
    expect(history.judge(0, 0, 0)).to.equal('reset');
    expect(history.judge(1, 0, 0)).to.equal('unknown');
  });

  it('does not judge after a reset that was told', () => {
    const history = new RunHistory(1);
    history.stopped(0, 9, 1);
    history.clear();
    history.begin();
    expect(history.judge(0, 0, 0)).to.equal('unknown');
  });

  it('tells by the used ring where the saved base is zero again', () => {
    const outcomes = [
      { outstanding: 2, verdict: 'continue', fresh: false },
      { outstanding: 0, verdict: 'reset', fresh: true },
      { outstanding: 3, verdict: 'reset', fresh: true },
    ];
    for (const { outstanding, verdict, fresh } of outcomes) {
      const history = new RunHistory(1);
      history.stopped(0, 0, 2);
      history.begin();
      expect(history.judge(0, 0, outstanding)).to.equal(verdict);
      expect(history.fresh(0, 0, outstanding)).to.equal(fresh);
    }
  });

  it('holds a ring at base zero for fresh, unless it stopped there with chains out', () => {
    const history = new RunHistory(3);
    history.stopped(0, 0, 1);
    history.stopped(1, 7, 1);
    const starts = [history.fresh(0, 0, 1), history.fresh(0, 3, 1), history.fresh(1, 0, 1), history.fresh(2, 0, 1)];
    expect(starts).to.deep.equal([false, false, true, true]);
    history.clear();
    expect(history.fresh(0, 0, 1)).to.equal(true);
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
        const verdicts = order.map((index) => history.judge(index, paused ? bases[index]! : 0, 0));
        expect(verdicts.filter((verdict) => verdict !== 'unknown')).to.deep.equal([paused ? 'continue' : 'reset']);
      }),
    );
  });
});
