import { expect } from 'chai';
import { describe, it } from 'mocha';
import { Spinner } from '../src/loop/spinner.ts';

const BUDGET = 30_000;
const miss = (spinner: Spinner, times: number) => {
  for (let time = 0; time < times; time++) {
    spinner.spun(false);
  }
};

describe('Spinner', () => {
  it('never spins without a budget', () => {
    const spinner = new Spinner(0);
    expect(spinner.isOn).to.equal(false);
    spinner.slept(1);
    expect(spinner.isOn).to.equal(false);
  });

  it('ends after four misses in a row', () => {
    const spinner = new Spinner(BUDGET);
    miss(spinner, 3);
    spinner.spun(true);
    miss(spinner, 3);
    expect(spinner.isOn).to.equal(true);
    miss(spinner, 1);
    expect(spinner.isOn).to.equal(false);
  });

  it('comes back when sleeps are short, not when they are long', () => {
    const spinner = new Spinner(BUDGET);
    miss(spinner, 4);
    spinner.slept(10_000_000);
    spinner.slept(BUDGET);
    spinner.slept(10_000_000);
    expect(spinner.isOn).to.equal(false);
    spinner.slept(BUDGET);
    spinner.slept(BUDGET);
    expect(spinner.isOn).to.equal(true);
  });

  it('asks for more short sleeps each time it failed, up to a limit, and forgives on success', () => {
    const spinner = new Spinner(BUDGET);
    const sleepsUntilOn = () => {
      let count = 0;
      while (!spinner.isOn) {
        spinner.slept(BUDGET);
        count++;
      }
      return count;
    };
    const counts: number[] = [];
    for (let round = 0; round < 8; round++) {
      miss(spinner, 4);
      counts.push(sleepsUntilOn());
    }
    expect(counts).to.deep.equal([2, 4, 8, 16, 32, 64, 64, 64]);
    spinner.spun(true);
    miss(spinner, 4);
    expect(sleepsUntilOn()).to.equal(2);
  });
});
