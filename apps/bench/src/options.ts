/** The options of the bench. */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BLK_WORKLOADS } from './blk/workloads.ts';
import { SLOTS } from './driver/work.ts';
import { BenchError } from './errors.ts';
import { GPU_WORKLOADS } from './gpu/workloads.ts';
import { GUEST_WORKLOADS } from './guest/workloads.ts';
import { RING_WORKLOADS } from './rings/workloads.ts';
import { WAYLAND_WORKLOADS } from './wayland/workloads.ts';
import { WORKLOADS } from './workloads.ts';

/** How requests of a file system come. */
export interface FsLane {
  /** Operations under way at the same time. */
  readonly depth: number;
  /** Request queues that they are spread over; a peer with fewer has them all in those. */
  readonly queues: number;
}

/** What to measure, and how. */
export interface BenchOptions {
  /** Runs of each workload, depth and back-end; the median counts. */
  readonly rounds: number;
  /** Of each run. */
  readonly seconds: number;
  /** How each workload of file systems is run, one after the other. */
  readonly lanes: readonly FsLane[];
  /** Of file systems; none: that part is left out. */
  readonly workloads: readonly string[];
  /** Of virtio-gpu; none: that part is left out. */
  readonly gpuWorkloads: readonly string[];
  /** Of rings; none: that part is left out. */
  readonly ringWorkloads: readonly string[];
  /** Of disks; none: that part is left out. */
  readonly blkWorkloads: readonly string[];
  /** Of Wayland; none: that part is left out. */
  readonly waylandWorkloads: readonly string[];
  /** Of reads in a guest; none: that part is left out. */
  readonly guestWorkloads: readonly string[];
  readonly cores: 'one' | 'two';
  /** Where the figures go as JSON. */
  readonly json: string | undefined;
  /** Socket of a server that takes virtiofsd's place. */
  readonly peerSocket: string | undefined;
  /** Folder that is shared; a new one on tmpfs when undefined. */
  readonly shareDir: string | undefined;
  readonly spinUs: number | undefined;
  /** Folder for CPU profiles of our back-ends. */
  readonly profile: string | undefined;
}

const MAX_ROUNDS = 1000;
const MAX_SECONDS = 600;
/** Each has indirect tables of 4 MiB in the driver's memory. */
const MAX_QUEUES = 8;

/** Text of `--help`. */
export const USAGE = `npm run bench -- [OPTIONS]

  --part fs|gpu|rings|blk|wayland|guest
                      one of the parts (all)
  --only LIST         some workloads:
                      ${Object.keys(WORKLOADS).join(', ')};
                      ${Object.keys(GPU_WORKLOADS).join(', ')};
                      ${Object.keys(RING_WORKLOADS).join(', ')};
                      ${Object.keys(BLK_WORKLOADS).join(', ')};
                      ${Object.keys(WAYLAND_WORKLOADS).join(', ')};
                      ${Object.keys(GUEST_WORKLOADS).join(', ')}
  --rounds N          runs of each workload, depth and back-end; the median counts (5)
  --seconds S         length of a run (0.5)
  --depth LIST        operations at the same time of fs, 1 to ${SLOTS} (1,32)
  --queues LIST       request queues of oriel fs, 1 to ${MAX_QUEUES}; several only at depths as large (1,4)
  --cores one|two     driver and back-end on one CPU, or each on its own (one)
  --spin-us N         longest spin of oriel before it sleeps (its default)
  --json FILE         write all figures there
  --peer-socket PATH  measure the server that listens there in place of virtiofsd; needs --share
  --share DIR         folder that is shared, on tmpfs (a new one in /dev/shm)
  --profile DIR       write CPU profiles of oriel there
`;

/** Reads the arguments. @returns null for --help @throws BenchError ERR_BENCH_USAGE in one line that says what to change */
export function readOptions(args: readonly string[]): BenchOptions | null {
  const values = parse(args);
  if (values.help === true) return null;
  const parts = selected(values.part, values.only);
  const cores = values.cores ?? 'one';
  if (cores !== 'one' && cores !== 'two') throw usage(`--cores ${cores}: give one or two`);
  const { json, 'peer-socket': peerSocket, share: shareDir, profile } = values;
  if (peerSocket !== undefined && shareDir === undefined) {
    throw usage('--peer-socket needs the folder which that server shares: give --share DIR');
  }
  const depths = (values.depth ?? '1,32').split(',').map((text) => wholeNumber('depth', text, 1, SLOTS));
  const queues = (values.queues ?? '1,4').split(',').map((text) => wholeNumber('queues', text, 1, MAX_QUEUES));
  const lanes = lanesOf(queues, depths);
  if (lanes.length === 0) throw usage(`--queues ${values.queues}: give a --depth as large`);
  const seconds = Number(values.seconds ?? '0.5');
  if (!(seconds > 0 && seconds <= MAX_SECONDS)) throw usage(`--seconds ${values.seconds}: give 0.01 to ${MAX_SECONDS}`);
  const spin = values['spin-us'];
  return {
    rounds: wholeNumber('rounds', values.rounds ?? '5', 1, MAX_ROUNDS),
    seconds,
    lanes,
    workloads: parts.fs,
    gpuWorkloads: parts.gpu,
    ringWorkloads: parts.rings,
    blkWorkloads: parts.blk,
    waylandWorkloads: parts.wayland,
    guestWorkloads: parts.guest,
    cores,
    json,
    peerSocket,
    shareDir,
    spinUs: spin === undefined ? undefined : wholeNumber('spin-us', spin, 0, 1000),
    profile,
  };
}

/** Every depth with every number of queues that it can fill. */
function lanesOf(queues: readonly number[], depths: readonly number[]): FsLane[] {
  return queues.flatMap((count) => {
    return depths.filter((depth) => depth >= count).map((depth) => ({ depth, queues: count }));
  });
}

/** Flags of Node for our back-ends. */
export function profileFlags({ profile }: Pick<BenchOptions, 'profile'>): readonly string[] {
  return profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(profile)}`];
}

const PARTS = {
  fs: Object.keys(WORKLOADS),
  gpu: Object.keys(GPU_WORKLOADS),
  rings: Object.keys(RING_WORKLOADS),
  blk: Object.keys(BLK_WORKLOADS),
  wayland: Object.keys(WAYLAND_WORKLOADS),
  guest: Object.keys(GUEST_WORKLOADS),
};
type Part = keyof typeof PARTS;
const PART_NAMES = Object.keys(PARTS) as Part[];

/** Names of workloads of each part. @throws BenchError ERR_BENCH_USAGE when none is left, or one is unknown */
function selected(part: string | undefined, only: string | undefined): Record<Part, string[]> {
  if (part !== undefined && !Object.hasOwn(PARTS, part)) throw usage(`--part ${part}: give ${PART_NAMES.join(', ')}`);
  const of = (name: Part) => (part === undefined || part === name ? PARTS[name] : []);
  const all = PART_NAMES.flatMap(of);
  const names = only?.split(',') ?? all;
  for (const name of names) {
    if (!all.includes(name)) throw usage(`--only ${name}: give some of ${all.join(', ')}`);
  }
  const wanted = PART_NAMES.map((one) => [one, of(one).filter((name) => names.includes(name))]);
  return Object.fromEntries(wanted) as Record<Part, string[]>;
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
        queues: text,
        only: text,
        part: text,
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
