/** What the bench prints and writes. */
import type { RunResult } from './driver/runner.ts';
import type { Machine } from './machine.ts';
import { type CaseResult, ratio, type Summary } from './measure.ts';
import { geometricMean } from './median.ts';
import type { BenchOptions } from './options.ts';
import { CPU_TARGET, SHALLOW_TARGET, WORKLOADS } from './workloads.ts';

/** Everything that one invocation found. */
export interface Report {
  readonly machine: Machine;
  readonly options: BenchOptions;
  /** Name and version of each back-end; ours first, then the peer, if there is one. */
  readonly sides: readonly { readonly name: string; readonly version: string }[];
  readonly cases: readonly CaseResult[];
}

/** Ratios of one case. */
export interface Verdict {
  readonly ops: number;
  readonly cpu: number;
  readonly target: number;
  /** Both ratios are as wanted. */
  readonly met: boolean;
}

const perSecond = (run: RunResult) => run.ops / run.seconds;
const cpuPerOp = (run: RunResult) => run.backendCpuUs / run.ops;

/** Ours against the peer. */
export function judge(result: CaseResult, ours: string, peer: string): Verdict {
  const ops = ratio(result, ours, peer, perSecond);
  const known = result.rounds.every((round) => round[ours]!.backendCpuUs >= 0 && round[peer]!.backendCpuUs >= 0);
  const cpu = known ? ratio(result, ours, peer, cpuPerOp) : Number.NaN;
  const target = result.depth === 1 ? SHALLOW_TARGET : WORKLOADS[result.workload]!.target;
  return { ops, cpu, target, met: ops >= target && !(cpu > CPU_TARGET) };
}

/** Three significant digits, with separators. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-';
  const rounded = Number(value.toPrecision(3));
  return rounded >= 1000 ? Math.round(value).toLocaleString('en-US') : String(rounded);
}

/** The report as a Markdown table, which reads well as text. */
export function formatTable(report: Report): string {
  const [ours, peer] = report.sides.map(({ name }) => name) as [string, string?];
  const sideColumns = (name: string) => [`${name} ops/s`, 'p50 µs', 'cpu µs/op'];
  const header = ['workload', 'QD'];
  if (peer !== undefined) header.push(...sideColumns(peer));
  header.push(...sideColumns(ours));
  if (peer !== undefined) header.push('ops ratio', 'cpu ratio', 'wanted', '');
  const rows = report.cases.map((result) => {
    const cells = (side: Summary) => [figure(side.opsPerSecond), figure(side.p50Us), figure(side.cpuUsPerOp)];
    const row = [result.workload, String(result.depth)];
    if (peer !== undefined) row.push(...cells(result.summary[peer]!));
    row.push(...cells(result.summary[ours]!));
    if (peer === undefined) return row;
    const { ops, cpu, target, met } = judge(result, ours, peer);
    return [
      ...row,
      ops.toFixed(2),
      Number.isNaN(cpu) ? '-' : cpu.toFixed(2),
      target.toFixed(2),
      met ? 'met' : 'MISSED',
    ];
  });
  if (peer !== undefined) rows.push(...means(report, ours, peer, header.length));
  return alignColumns([header, ...rows]);
}

/** What stands above the table: machine, back-ends, method. */
export function formatHead(report: Report): string {
  const { machine, options, sides } = report;
  const versions = sides.map(({ name, version }) => `${name} ${version}`.trim()).join(', ');
  const cores = options.cores === 'one' ? 'driver and back-end on one CPU' : 'driver and back-end on a CPU each';
  return [
    `${machine.cpu}, ${machine.cpus} CPUs, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, load ${machine.load.toFixed(2)}`,
    `${versions}; ${cores}; spin ${options.spinUs ?? 'default'}; median of ${options.rounds} interleaved runs of ${options.seconds} s`,
  ].join('\n');
}

/** The report as JSON. */
export function toJson(report: Report): string {
  const [ours, peer] = report.sides.map(({ name }) => name) as [string, string?];
  const cases = report.cases.map((one) => (peer === undefined ? one : { ...one, verdict: judge(one, ours, peer) }));
  return `${JSON.stringify({ ...report, cases }, null, 2)}\n`;
}

function means(report: Report, ours: string, peer: string, columns: number): string[][] {
  return report.options.depths.map((depth) => {
    const verdicts = report.cases.filter((one) => one.depth === depth).map((one) => judge(one, ours, peer));
    const cpu = geometricMean(verdicts.map((verdict) => verdict.cpu));
    const row = ['geometric mean', String(depth), ...Array<string>(columns - 6).fill('')];
    const ops = geometricMean(verdicts.map((verdict) => verdict.ops));
    return [...row, ops.toFixed(2), Number.isNaN(cpu) ? '-' : cpu.toFixed(2), '', ''];
  });
}

function alignColumns(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)));
    return `| ${cells.join(' | ')} |`;
  });
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [lines[0]!, rule, ...lines.slice(1)].join('\n');
}
