/** What the bench prints and writes. */
import { type BlkReport, compareBlk } from './blk/blk-report.ts';
import type { RunResult } from './driver/runner.ts';
import { compare, type GpuReport } from './gpu/gpu-report.ts';
import type { GuestReport } from './guest/guest-report.ts';
import type { Machine } from './machine.ts';
import { type CaseResult, ratio, type Summary } from './measure.ts';
import { geometricMean } from './median.ts';
import type { BenchOptions, FsLane } from './options.ts';
import { compareRings, type RingsReport } from './rings/rings-report.ts';
import { alignColumns, figure } from './table.ts';
import type { WaylandReport } from './wayland/wayland-report.ts';
import { WORKLOADS, wantedOf } from './workloads.ts';

/** Everything that one invocation found; a part that was not wanted is null. */
export interface Report {
  readonly machine: Machine;
  readonly options: BenchOptions;
  readonly fs: FsReport | null;
  readonly gpu: GpuReport | null;
  readonly rings: RingsReport | null;
  readonly blk: BlkReport | null;
  readonly wayland: WaylandReport | null;
  readonly guest: GuestReport | null;
}

/** What the part about file systems found. */
export interface FsReport {
  /** Name and version of each back-end; ours first, then the peer, if there is one. */
  readonly sides: readonly { readonly name: string; readonly version: string }[];
  readonly lanes: readonly FsLane[];
  readonly cores: BenchOptions['cores'];
  readonly cases: readonly FsCase[];
}

/** A measured case of file systems. */
export interface FsCase extends CaseResult {
  /** Request queues of ours. */
  readonly queues: number;
}

/** Ratios of one case. */
export interface Verdict {
  readonly ops: number;
  readonly cpu: number;
  /** Ratio of operations that is wanted; NaN: none is. */
  readonly target: number;
  /** Both ratios are as wanted. */
  readonly met: boolean;
}

const perSecond = (run: RunResult) => run.ops / run.seconds;
const cpuPerOp = (run: RunResult) => run.backendCpuUs / run.ops;

/** Ours against the peer. */
export function judge(result: CaseResult, ours: string, peer: string, cores: BenchOptions['cores']): Verdict {
  const ops = ratio(result, ours, peer, perSecond);
  const known = result.rounds.every((round) => round[ours]!.backendCpuUs >= 0 && round[peer]!.backendCpuUs >= 0);
  const cpu = known ? ratio(result, ours, peer, cpuPerOp) : Number.NaN;
  const wanted = wantedOf(result.workload, result.depth, cores);
  return { ops, cpu, target: wanted.ops, met: !(ops < wanted.ops) && !(cpu > wanted.cpu) };
}

/** The part about file systems as a Markdown table. */
export function formatFsTable(report: FsReport): string {
  const [ours, peer] = report.sides.map(({ name }) => name) as [string, string?];
  const sideColumns = (name: string) => [`${name} ops/s`, 'p50 µs', 'cpu µs/op'];
  const header = ['workload', 'queues', 'QD'];
  if (peer !== undefined) header.push(...sideColumns(peer));
  header.push(...sideColumns(ours));
  if (peer !== undefined) header.push('ops ratio', 'cpu ratio', 'wanted', '');
  const rows = report.cases.map((result) => {
    const cells = (side: Summary) => [figure(side.opsPerSecond), figure(side.p50Us), figure(side.cpuUsPerOp)];
    const row = [result.workload, String(result.queues), String(result.depth)];
    if (peer !== undefined) row.push(...cells(result.summary[peer]!));
    row.push(...cells(result.summary[ours]!));
    if (peer === undefined) return row;
    const { ops, cpu, target, met } = judge(result, ours, peer, report.cores);
    const verdict = Number.isNaN(target) ? '' : met ? 'met' : 'MISSED';
    return [...row, ...[ops, cpu, target].map(ratioText), verdict];
  });
  if (peer !== undefined) rows.push(...means(report, ours, peer, header.length));
  return alignColumns([header, ...rows]);
}

/** What stands above the tables: machine, back-ends, method. */
export function formatHead(report: Report): string {
  const { machine, options, fs, gpu, blk } = report;
  const own = gpu === null ? [] : [{ name: gpu.ours, version: gpu.version }];
  const disks = blk === null ? [] : [{ name: 'qemu-storage-daemon', version: blk.peerVersion }];
  const versions = [...(fs?.sides ?? own), ...disks].map(({ name, version }) => `${name} ${version}`.trim()).join(', ');
  const cores = options.cores === 'one' ? 'driver and back-end on one CPU' : 'driver and back-end on a CPU each';
  // Rings have neither, and stay on one CPU.
  const sides = versions === '' ? [] : [versions, cores, `spin ${options.spinUs ?? 'default'}`];
  return [
    `${machine.cpu}, ${machine.cpus} CPUs, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, load ${machine.load.toFixed(2)}`,
    [...sides, `median of ${options.rounds} interleaved runs of ${options.seconds} s`].join('; '),
  ].join('\n');
}

/** The report as JSON, with the ratios of each case. */
export function toJson({ machine, options, fs, gpu, rings, blk, wayland, guest }: Report): string {
  const [ours, peer] = fs === null ? [] : fs.sides.map(({ name }) => name);
  const judged = (one: CaseResult) =>
    ours === undefined || peer === undefined ? one : { ...one, verdict: judge(one, ours, peer, options.cores) };
  const parts = {
    fs: fs === null ? null : { ...fs, cases: fs.cases.map(judged) },
    gpu: gpu === null ? null : { ...gpu, cases: gpu.cases.map((one) => ({ ...one, ratios: compare(one, gpu.ours) })) },
    rings:
      rings === null ? null : { ...rings, cases: rings.cases.map((one) => ({ ...one, ratios: compareRings(one) })) },
    blk: blk === null ? null : { ...blk, cases: blk.cases.map((one) => ({ ...one, ratio: compareBlk(one) })) },
    wayland,
    guest,
  };
  return `${JSON.stringify({ machine, options, ...parts }, null, 2)}\n`;
}

/** Geometric means of all cases of a lane, and of the small requests among them. */
function means(report: FsReport, ours: string, peer: string, columns: number): string[][] {
  return report.lanes.flatMap(({ depth, queues }) => {
    const cases = report.cases.filter((one) => one.depth === depth && one.queues === queues);
    const mean = (name: string, of: readonly FsCase[]) => {
      const verdicts = of.map((one) => judge(one, ours, peer, report.cores));
      const row = [name, String(queues), String(depth), ...Array<string>(columns - 7).fill('')];
      const ratios = [verdicts.map(({ ops }) => ops), verdicts.map(({ cpu }) => cpu)];
      return [...row, ...ratios.map((one) => ratioText(geometricMean(one))), '', ''];
    };
    const small = cases.filter(({ workload }) => WORKLOADS[workload]!.kind === 'small');
    const rows = [mean('geometric mean', cases)];
    return small.length === 0 || small.length === cases.length ? rows : [...rows, mean('... of small ones', small)];
  });
}

function ratioText(value: number): string {
  return Number.isNaN(value) ? '-' : value.toFixed(2);
}
