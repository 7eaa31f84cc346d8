/**
 * `npm run soak`: each soak at full length, one after the other; then one table, and one line of JSON.
 *
 *     npm run soak -- --seconds 60 --only rings --seed 7
 */
import { cpus, release } from 'node:os';
import { parseArgs } from 'node:util';
import type { SoakReport } from '../test-vm/soak/src/report.ts';
import { runSoak } from '../test-vm/soak/src/run.ts';
import { soakNamed, soaks } from '../test-vm/soak/src/soaks.ts';

const USAGE = `npm run soak -- [--seconds N] [--seed S] [--only NAME] [--rounds N]
  --seconds N   how long each soak goes on; 600
  --seed S      0 to 4294967295; another one each time by default. A failure names the seed that begins with its round
  --rounds N    most rounds of each: 1 with a seed repeats one round
  --only NAME   ${soaks.map(({ name }) => name).join(', ')}
`;
const DEFAULT_SECONDS = '600';
const MOST_SEED = 2 ** 32 - 1;
const BAD_USAGE = 2;
/** Names counted most often, in the table. */
const NAMES_SHOWN = 8;

function whole(value: string, name: string, most: number): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > most) throw new Error(`--${name}=${value}: 0 to ${most}`);
  return number;
}

function options() {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: DEFAULT_SECONDS },
      seed: { type: 'string', default: String(Date.now() % MOST_SEED) },
      rounds: { type: 'string', default: '0' },
      only: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const only = values.only === undefined ? undefined : soakNamed(values.only);
  if (values.only !== undefined && only === undefined) throw new Error(`--only=${values.only}: no such soak`);
  return {
    help: values.help,
    chosen: only === undefined ? soaks : [only],
    seconds: whole(values.seconds, 'seconds', 1e6),
    seed: whole(values.seed, 'seed', MOST_SEED),
    rounds: whole(values.rounds, 'rounds', 1e9),
  };
}

function row(cells: readonly string[]): string {
  const [name, ...figures] = cells as [string, ...string[]];
  return `${name.padEnd(12)}${figures.map((cell) => cell.padStart(12)).join('')}`;
}

function table(reports: readonly SoakReport[]): string {
  const lines = [row(['soak', 'seconds', 'rounds', 'operations', 'MiB', 'seed', 'result'])];
  for (const { name, seconds, rounds, operations, rssMiB, seed, failure } of reports) {
    const figures = [seconds.toFixed(0), rounds, operations, rssMiB, seed, failure === null ? 'sound' : 'FAILED'];
    lines.push(row([name, ...figures.map(String)]));
  }
  return lines.join('\n');
}

function details({ name, seed, counts, failure }: SoakReport): string {
  if (failure !== null) {
    const again = `npm run soak -- --only ${name} --seed ${seed} --rounds 1`;
    return `\n${name} FAILED: ${failure.message}\n${failure.stack}\nagain: ${again}`;
  }
  const most = Object.entries(counts).sort(([, a], [, b]) => b - a);
  return `  ${most
    .slice(0, NAMES_SHOWN)
    .map(([what, count]) => `${what} ${count}`)
    .join(', ')}`;
}

process.once('SIGINT', () => process.exit(130));
try {
  const { help, chosen, seconds, seed, rounds } = options();
  if (help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const reports: SoakReport[] = [];
  for (const soak of chosen) {
    console.log(`${soak.name}: ${soak.about}, ${seconds} s from seed ${seed}`);
    const report = await runSoak(soak, { seconds, seed, rounds });
    reports.push(report);
    console.log(details(report));
  }
  console.log(`\n${table(reports)}`);
  const machine = { cpu: cpus()[0]?.model ?? '', cpus: cpus().length, kernel: release(), node: process.version };
  console.log(JSON.stringify({ date: new Date().toISOString(), machine, soaks: reports }));
  process.exitCode = reports.every(({ failure }) => failure === null) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  process.exitCode = BAD_USAGE;
}
