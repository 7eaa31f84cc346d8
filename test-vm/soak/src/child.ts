/** The process of one soak: runs rounds until the time is over or one fails, and writes its report to standard output. */
import { parseArgs } from 'node:util';
import { SoakError } from './errors.ts';
import { Progress } from './progress.ts';
import { Xorshift } from './random.ts';
import { failureOf, type SoakFailure, type SoakReport } from './report.ts';
import { type SoakModule, Tally } from './soak.ts';

const MIB = 1 << 20;

const { values } = parseArgs({
  options: {
    name: { type: 'string', default: '' },
    module: { type: 'string', default: '' },
    progress: { type: 'string', default: '' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '0' },
    rounds: { type: 'string', default: '0' },
  },
});
const { name } = values;
const seconds = Number(values.seconds);
/** 0: as many as the time allows. */
const mostRounds = Number(values.rounds) || Number.POSITIVE_INFINITY;
const start = performance.now();
const elapsed = (): number => (performance.now() - start) / 1000;
const tally = new Tally();
let seed = Number(values.seed);
let round = 0;
let failure: SoakFailure | null = null;

function checkWanted(wanted: readonly string[]): void {
  const missing = wanted.filter((one) => !tally.counts[one]);
  if (missing.length > 0) throw new SoakError('ERR_SOAK_IDLE', `not once in ${round} rounds: ${missing.join(', ')}`);
}

try {
  const soak = (await import(values.module)) as SoakModule;
  using progress = new Progress(values.progress);
  const seeds = new Xorshift(seed);
  progress.begin({ seed, round });
  await using run = await soak.open();
  do {
    if (round > 0) seed = seeds.u32();
    progress.begin({ seed, round });
    await run.round(new Xorshift(seed), tally);
    round++;
  } while (elapsed() < seconds && round < mostRounds);
  if (round >= soak.enough) checkWanted(soak.wanted);
} catch (error) {
  failure = failureOf(error);
}
const report: SoakReport = {
  name,
  seed: failure === null ? Number(values.seed) : seed,
  seconds: elapsed(),
  rounds: round,
  operations: tally.operations,
  counts: tally.counts,
  rssMiB: Math.round(process.memoryUsage().rss / MIB),
  failure,
};
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(failure === null ? 0 : 1));
