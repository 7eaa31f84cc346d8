import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { compileProbe, loadEnvironment } from '@oriel/test-vm-guest';
import { expect } from 'chai';
import { PROBE } from '../src/guest/guest-part.ts';
import { formatGuestTable, type GuestCase, summarizeGuest } from '../src/guest/guest-report.ts';
import { GUEST_WORKLOADS, wantedSum } from '../src/guest/workloads.ts';
import { makeReadFile, READ_FILE, TMPFS } from '../src/share.ts';

const reads = (firstNs: number, againNs: number) => ({ firstNs, againNs });

/** 64 MiB in each run: the peer takes a second, and again half of one. */
const CASE: GuestCase = {
  workload: 'guest-seq',
  rounds: [4, 2, 8].map((times) => ({ peer: reads(1e9, 5e8), ours: reads(1e9 / times, 5e8) })),
};

describe('reads in a guest', () => {
  it('are summed up by the medians of the rounds', () => {
    expect(summarizeGuest(CASE, 'ours', 'peer')).to.deep.equal({
      firstMiBs: 256,
      againMiBs: 128,
      firstRatio: 4,
      againRatio: 1,
    });
  });

  it('have a row for each share, the peer first', () => {
    expect(formatGuestTable({ versions: 'a guest', sides: ['peer', 'ours'], cases: [CASE] }).split('\n')).to.deep.equal(
      [
        'a guest',
        '',
        '| workload  | share | first MiB/s | again MiB/s | first ratio | again ratio |',
        '|-----------|------:|------------:|------------:|------------:|------------:|',
        '| guest-seq |  peer |          64 |         128 |             |             |',
        '|           |  ours |         256 |         128 |        4.00 |        1.00 |',
      ],
    );
  });

  it('look at the words that are expected, in both passes', async function () {
    this.timeout(60_000);
    const environment = loadEnvironment();
    if (environment === undefined) this.skip();
    const { path } = await compileProbe(environment, PROBE);
    const dir = mkdtempSync(join(TMPFS, 'oriel-bench-reads-'));
    try {
      makeReadFile(dir);
      for (const [name, workload] of Object.entries(GUEST_WORKLOADS)) {
        const { way, pattern, bytes, count, stride } = workload;
        const words = [join(dir, READ_FILE), way, pattern, bytes, count, stride].map(String);
        const passes = execFileSync(path, words, { encoding: 'utf8' }).trim().split('\n');
        const sum = wantedSum(workload);
        expect(
          passes.map((line) => Number(line.split(' ')[1])),
          name,
        ).to.deep.equal([sum, sum]);
      }
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
