/** The order of runs, and what is made of them. */
import type { RunResult } from './driver/runner.ts';
import { median } from './median.ts';

/** One case: a workload at a depth, measured at every side by turns. */
export interface Case {
  readonly workload: string;
  readonly depth: number;
}

/** Runs a case once at one side. */
export type RunOne = (side: string, seconds: number) => Promise<RunResult>;

/** How a case is measured. */
export interface MeasureOptions {
  readonly sides: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
}

/** Medians over all rounds of one side. */
export interface Summary {
  readonly opsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** NaN where the back-end's process is not known. */
  readonly cpuUsPerOp: number;
  readonly driverCpuUsPerOp: number;
  readonly kicksPerOp: number;
  readonly sleepsPerOp: number;
}

/** A measured case: by side, first the summary, then what each round gave. */
export interface CaseResult extends Case, Measured {}

/** What the runs of a case gave. */
export interface Measured {
  readonly summary: Readonly<Record<string, Summary>>;
  readonly rounds: readonly Readonly<Record<string, RunResult>>[];
}

/** Runs before the first that counts: compilers, caches and tables are then as they stay. */
const WARM_UP_ROUNDS = 1;

/**
 * Measures a case: in each round every side once, in turning order, so that what disturbs the machine for longer than a run
 * disturbs them alike.
 */
export async function measure<C extends Case>(one: C, options: MeasureOptions, run: RunOne): Promise<C & Measured> {
  const { sides, rounds, seconds } = options;
  for (let i = 0; i < WARM_UP_ROUNDS; i++) {
    for (const side of sides) await run(side, seconds);
  }
  const results: Record<string, RunResult>[] = [];
  for (let round = 0; round < rounds; round++) {
    const result: Record<string, RunResult> = {};
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) result[side] = await run(side, seconds);
    results.push(result);
  }
  const summary = Object.fromEntries(sides.map((side) => [side, summarize(results.map((result) => result[side]!))]));
  return { ...one, summary, rounds: results };
}

/** Medians of some runs. */
export function summarize(runs: readonly RunResult[]): Summary {
  const of = (figure: (run: RunResult) => number) => median(runs.map(figure));
  return {
    opsPerSecond: of((run) => run.ops / run.seconds),
    p50Us: of((run) => run.p50Us),
    p99Us: of((run) => run.p99Us),
    cpuUsPerOp: of((run) => (run.backendCpuUs < 0 ? Number.NaN : run.backendCpuUs / run.ops)),
    driverCpuUsPerOp: of((run) => run.driverCpuUs / run.ops),
    kicksPerOp: of((run) => run.kicks / run.ops),
    sleepsPerOp: of((run) => run.sleeps / run.ops),
  };
}

/** Median of the ratios that the rounds gave: each compares runs that stood side by side. */
export function ratio(result: CaseResult, ours: string, peer: string, figure: (run: RunResult) => number): number {
  return median(result.rounds.map((round) => figure(round[ours]!) / figure(round[peer]!)));
}
