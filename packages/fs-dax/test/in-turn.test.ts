import { expect } from 'chai';
import { inTurn } from '../src/dax/in-turn.ts';

describe('inTurn', () => {
  it('runs steps one after the other, and gives the first error at the end', () => {
    const seen: string[] = [];
    let pending = (_error: number): void => {};
    inTurn(
      3,
      (index, next) => {
        seen.push(`step ${index}`);
        pending = next;
      },
      (error) => seen.push(`done ${error}`),
    );
    expect(seen).to.deep.equal(['step 0']);
    pending(0);
    pending(-5);
    expect(seen).to.deep.equal(['step 0', 'step 1', 'step 2']);
    pending(-6);
    expect(seen.at(-1)).to.equal('done -5');
  });

  it('is done at once with nothing to do', () => {
    const errors: number[] = [];
    inTurn(
      0,
      () => errors.push(-1),
      (error) => errors.push(error),
    );
    expect(errors).to.deep.equal([0]);
  });

  it('bears a million steps that call back at once, also in the middle of others', () => {
    let steps = 0;
    let later = (_error: number): void => {};
    let done = 0;
    inTurn(
      1_000_000,
      (index, next) => {
        steps++;
        if (index === 10) later = next;
        else next(0);
      },
      () => done++,
    );
    expect([steps, done]).to.deep.equal([11, 0]);
    later(0);
    expect([steps, done]).to.deep.equal([1_000_000, 1]);
  });
});
