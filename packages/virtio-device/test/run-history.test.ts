import { expect } from 'chai';
import fc from 'fast-check';
import { type RingStart, RunHistory } from '../src/run-history.ts';

const at = (base: number, outstanding = 0, blank = false): RingStart => ({ base, outstanding, blank });

/** Stops each ring at its base, then begins the next run. */
function after(bases: readonly number[]): RunHistory {
  const history = new RunHistory(bases.length);
  for (const [index, base] of bases.entries()) {
    history.stopped(index, base, 0, true);
  }
  history.begin();
  return history;
}

describe('RunHistory', () => {
  it('has nothing to judge at the first start', () => {
    const history = new RunHistory(2);
    history.begin();
    expect(history.open).to.equal(false);
    expect(history.judge(0, at(0, 0))).to.equal('unknown');
    expect(history.judge(1, at(7, 0))).to.equal('unknown');
  });

  it('takes base 0 of a ring that ran for a new driver', () => {
    const history = after([0, 12]);
    expect(history.judge(0, at(0, 0))).to.equal('unknown');
    expect(history.open).to.equal(true);
    expect(history.judge(1, at(0, 0))).to.equal('reset');
    expect(history.open).to.equal(false);
  });

  it('takes a saved base for a pause, also where another ring never moved', () => {
    const history = after([0, 12]);
    expect(history.judge(0, at(0, 0))).to.equal('unknown');
    expect(history.judge(1, at(12, 0))).to.equal('continue');
  });

  it('judges once a run', () => {
    const history = after([3, 4]);
    expect(history.judge(0, at(0, 0))).to.equal('reset');
    expect(history.judge(1, at(0, 0))).to.equal('unknown');
  });

  it('does not judge after a reset that was told', () => {
    const history = new RunHistory(1);
    history.stopped(0, 9, 1, true);
    history.clear();
    history.begin();
    expect(history.judge(0, at(0, 0))).to.equal('unknown');
  });

  it('tells by the used ring where the saved base is zero again', () => {
    const outcomes = [
      { outstanding: 2, verdict: 'continue', fresh: false },
      { outstanding: 0, verdict: 'reset', fresh: true },
      { outstanding: 3, verdict: 'reset', fresh: true },
    ];
    for (const { outstanding, verdict, fresh } of outcomes) {
      const history = new RunHistory(1);
      history.stopped(0, 0, 2, true);
      history.begin();
      expect(history.judge(0, at(0, outstanding))).to.equal(verdict);
      expect(history.fresh(0, at(0, outstanding))).to.equal(fresh);
    }
  });

  it('holds a ring at base zero for fresh, unless it stopped there with chains out', () => {
    const history = new RunHistory(3);
    history.stopped(0, 0, 1, true);
    history.stopped(1, 7, 1, true);
    const starts = [
      history.fresh(0, at(0, 1)),
      history.fresh(0, at(3, 1)),
      history.fresh(1, at(0, 1)),
      history.fresh(2, at(0, 1)),
    ];
    expect(starts).to.deep.equal([false, false, true, true]);
    history.clear();
    expect(history.fresh(0, at(0, 1))).to.equal(true);
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
        const verdicts = order.map((index) => history.judge(index, at(paused ? bases[index]! : 0, 0)));
        expect(verdicts.filter((verdict) => verdict !== 'unknown')).to.deep.equal([paused ? 'continue' : 'reset']);
      }),
    );
  });

  describe('of packed rings', () => {
    const FRESH = 0x8000_8000;

    /** Two rings; the first took chains and stopped at `base`. */
    function stoppedAt(base: number, outstanding = 0): RunHistory {
      const history = new RunHistory(2);
      history.freshBase = FRESH;
      history.stopped(0, base, outstanding, true);
      history.stopped(1, FRESH, 0, false);
      history.begin();
      return history;
    }

    it('takes the base of a new ring for a new driver, and a saved one for a pause', () => {
      for (const base of [0x8005_8005, 0, 0x8002_0001]) {
        expect(stoppedAt(base).judge(1, at(FRESH))).to.equal('unknown');
        expect(stoppedAt(base).judge(0, at(FRESH, 0, true))).to.equal('reset');
        expect(stoppedAt(base).judge(0, at(base))).to.equal('continue');
      }
    });

    it('looks at the ring where both are the same, after whole laps', () => {
      for (const { blank, verdict } of [
        { blank: true, verdict: 'reset' },
        { blank: false, verdict: 'continue' },
      ]) {
        const history = stoppedAt(FRESH);
        expect(history.judge(0, at(FRESH, 0, blank))).to.equal(verdict);
        expect(history.fresh(0, at(FRESH, 0, blank))).to.equal(blank);
      }
    });

    it('still does so after a run in which nothing was taken', () => {
      const history = stoppedAt(FRESH);
      history.stopped(0, FRESH, 0, false);
      history.begin();
      expect(history.judge(0, at(FRESH, 0, true))).to.equal('reset');
    });

    it('has nothing to judge where no ring took a chain', () => {
      const history = new RunHistory(1);
      history.freshBase = FRESH;
      history.stopped(0, FRESH, 0, false);
      history.begin();
      expect([history.open, history.fresh(0, at(FRESH, 0, true))]).to.deep.equal([false, true]);
    });

    it('takes a change of the format for a new driver', () => {
      const history = stoppedAt(0x8005_8005, 3);
      history.freshBase = 0;
      expect(history.judge(0, at(0))).to.equal('reset');
    });
  });
});
