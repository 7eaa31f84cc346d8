import { expect } from 'chai';
import { runSoak } from '../src/run.ts';
import type { SoakEntry } from '../src/soaks.ts';

const SEED = 11;

/** A soak that misbehaves on purpose. */
function fixture(name: string, fileLimitKiB = 0): SoakEntry {
  const url = new URL(`./support/${name}-soak.ts`, import.meta.url).href;
  return { name, about: name, url, fileLimitKiB };
}

describe('runSoak', function () {
  this.timeout(30_000);

  it('tells of rounds, operations and counts', async () => {
    const report = await runSoak(fixture('good'), { seconds: 60, seed: SEED, rounds: 3 });
    expect(report).to.include({ name: 'good', seed: SEED, rounds: 3, operations: 6, failure: null });
    expect(report.counts).to.deep.equal({ act: 6 });
  });

  it('names the seed with which the round that failed comes first', async () => {
    const report = await runSoak(fixture('failing'), { seconds: 60, seed: SEED });
    expect(report.failure?.code).to.equal('ERR_SOAK_MISMATCH');
    expect(report.rounds).to.be.greaterThan(0);
    const again = await runSoak(fixture('failing'), { seconds: 60, seed: report.seed });
    expect(again.failure?.message).to.equal(report.failure?.message);
    expect(again.rounds).to.equal(0);
  });

  it('ends a soak that hangs, and says where', async () => {
    const report = await runSoak(fixture('hanging'), { seconds: 0, seed: SEED, graceSeconds: 3 });
    expect(report.failure?.code).to.equal('ERR_SOAK_ENDLESS');
    expect(report).to.include({ seed: SEED, rounds: 0 });
  });

  it('survives a soak that dies of a signal, and says where', async () => {
    const report = await runSoak(fixture('dying'), { seconds: 60, seed: SEED });
    expect(report.failure?.code).to.equal('ERR_SOAK_DIED');
    expect(report.failure?.message).to.match(/SIGSEGV/);
    expect(report).to.include({ seed: SEED, rounds: 0 });
  });

  it('fails when what a soak is meant to reach never happened', async () => {
    const report = await runSoak(fixture('idle'), { seconds: 0, seed: SEED });
    expect(report.failure?.code).to.equal('ERR_SOAK_IDLE');
  });

  it('keeps files of a soak short', async () => {
    const report = await runSoak(fixture('greedy', 64), { seconds: 0, seed: SEED });
    expect(report.failure?.code).to.equal('EFBIG');
  });
});
