/** What the part about virtio-gpu prints. */
import type { RunResult } from '../driver/runner.ts';
import { type CaseResult, ratio, type Summary } from '../measure.ts';
import { alignColumns, figure } from '../table.ts';

/** Everything that the part found. */
export interface GpuReport {
  /** The side of each case that is ours; all others are floors. */
  readonly ours: string;
  readonly version: string;
  readonly cases: readonly CaseResult[];
}

/** Ours as multiples of a floor. */
export interface Comparison {
  readonly floor: string;
  /** Operations a second: below 1 where we are slower. */
  readonly ops: number;
  /** Times of an operation: above 1 where we are slower. NaN for a depth above 1, which a floor has not. */
  readonly p50: number;
  readonly p99: number;
}

const perSecond = (run: RunResult) => run.ops / run.seconds;

/** A case against each of its floors. */
export function compare(result: CaseResult, ours: string): Comparison[] {
  const times = (floor: string, figureOf: (run: RunResult) => number) =>
    result.depth === 1 ? ratio(result, ours, floor, figureOf) : Number.NaN;
  return Object.keys(result.summary)
    .filter((side) => side !== ours)
    .map((floor) => ({
      floor,
      ops: ratio(result, ours, floor, perSecond),
      p50: times(floor, (run) => run.p50Us),
      p99: times(floor, (run) => run.p99Us),
    }));
}

/** A row for each case and floor, as a Markdown table; our own figures stand in the first row of a case. */
export function formatGpuTable({ ours, cases }: GpuReport): string {
  const columns = ['ops/s', 'p50 µs', 'p99 µs', 'cpu µs/op'];
  const header = ['workload', 'QD', ...columns, 'floor', ...columns, 'ops ratio', 'p50 ratio', 'p99 ratio'];
  const rows = cases.flatMap((result) => {
    const own = [result.workload, String(result.depth), ...cells(result.summary[ours]!)];
    const comparisons = compare(result, ours);
    if (comparisons.length === 0) return [[...own, ...Array<string>(header.length - own.length).fill('-')]];
    return comparisons.map(({ floor, ops, p50, p99 }, index) => {
      const ratios = [ops, p50, p99].map((value) => (Number.isNaN(value) ? '-' : value.toFixed(2)));
      const first = index === 0 ? own : own.map(() => '');
      return [...first, floor, ...cells(result.summary[floor]!), ...ratios];
    });
  });
  return alignColumns([header, ...rows]);
}

function cells({ opsPerSecond, p50Us, p99Us, cpuUsPerOp }: Summary): string[] {
  return [opsPerSecond, p50Us, p99Us, cpuUsPerOp].map(figure);
}
