/** The options of the bench. */
import { parseArgs } from 'node:util';
import { SLOTS } from './driver/work.ts';
import { BenchError } from './errors.ts';
import { WORKLOADS } from './workloads.ts';

/** What to measure, and how. */
export interface BenchOptions {
  /** Runs of each workload, depth and back-end; the median counts. */
  readonly rounds: number;
  /** Of each run. */
  readonly seconds: number;
  /** Operations under way at the same time. */
  readonly depths: readonly number[];
  readonly workloads: readonly string[];
  readonly cores: 'one' | 'two';
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
  /** Socket of a server that takes virtiofsd's place. */
  readonly peerSocket: string | undefined;
  /** Folder that is shared; a new one on tmpfs when undefined. */
  readonly shareDir: string | undefined;
  readonly spinUs: number | undefined;
  /** Folder for CPU profiles of our back-end. */
  readonly profile: string | undefined;
}

const MAX_ROUNDS = 1000;
const MAX_SECONDS = 600;

/** Text of `--help`. */
export const USAGE = `npm run bench -- [OPTIONS]

  --rounds N          runs of each workload, depth and back-end; the median counts (5)
  --seconds S         length of a run (0.5)
  --depth LIST        operations at the same time, 1 to ${SLOTS} (1,32)
  --only LIST         some of: ${Object.keys(WORKLOADS).join(', ')}
  --cores one|two     driver and back-end on one CPU, or each on its own (one)
  --spin-us N         longest spin of oriel fs before it sleeps (its default)
  --json FILE         write all figures there
  --peer-socket PATH  measure the server that listens there in place of virtiofsd; needs --share
  --share DIR         folder that is shared, on tmpfs (a new one in /dev/shm)
  --profile DIR       write a CPU profile of oriel fs there
`;

/** Reads the arguments. @returns null for --help @throws BenchError ERR_BENCH_USAGE in one line that says what to change */
export function readOptions(args: readonly string[]): BenchOptions | null {
  const values = parse(args);
  if (values.help === true) return null;
  const workloads = values.only === undefined ? Object.keys(WORKLOADS) : values.only.split(',');
  for (const name of workloads) {
    if (!Object.hasOwn(WORKLOADS, name)) {
      throw usage(`--only ${name}: give some of ${Object.keys(WORKLOADS).join(', ')}`);
    }
  }
  const cores = values.cores ?? 'one';
  if (cores !== 'one' && cores !== 'two') throw usage(`--cores ${cores}: give one or two`);
  const { json, 'peer-socket': peerSocket, share: shareDir, profile } = values;
  if (peerSocket !== undefined && shareDir === undefined) {
    throw usage('--peer-socket needs the folder which that server shares: give --share DIR');
  }
  const depths = (values.depth ?? '1,32').split(',').map((text) => wholeNumber('depth', text, 1, SLOTS));
  const seconds = Number(values.seconds ?? '0.5');
  if (!(seconds > 0 && seconds <= MAX_SECONDS)) throw usage(`--seconds ${values.seconds}: give 0.01 to ${MAX_SECONDS}`);
  const spin = values['spin-us'];
  return {
    rounds: wholeNumber('rounds', values.rounds ?? '5', 1, MAX_ROUNDS),
    seconds,
    depths,
    workloads,
    cores,
    json,
    peerSocket,
    shareDir,
    spinUs: spin === undefined ? undefined : wholeNumber('spin-us', spin, 0, 1000),
    profile,
  };
}

const text = { type: 'string' } as const;

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        rounds: text,
        seconds: text,
        depth: text,
        only: text,
        cores: text,
        'spin-us': text,
        json: text,
        'peer-socket': text,
        share: text,
        profile: text,
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    throw new BenchError('ERR_BENCH_USAGE', (error as Error).message, { cause: error });
  }
}

function wholeNumber(name: string, value: string, least: number, most: number): number {
  const number = Number(value);
  if (value.trim() === '' || !Number.isInteger(number) || number < least || number > most) {
    throw usage(`--${name} ${value}: give a whole number from ${least} to ${most}`);
  }
  return number;
}

function usage(detail: string): BenchError {
  return new BenchError('ERR_BENCH_USAGE', detail);
}
