/** What the part about disks prints. */
import type { RunResult } from '../driver/runner.ts';
import { type CaseResult, ratio } from '../measure.ts';
import { alignColumns, figure } from '../table.ts';

export const OURS = 'oriel blk';
export const PEER = 'qemu-storage-daemon';
/** What is aimed at. */
const WANTED = 1;

/** Everything that the part found. */
export interface BlkReport {
  /** Of a request. */
  readonly bytes: number;
  readonly peerVersion: string;
  readonly cases: readonly CaseResult[];
}

/** Requests a second, as a multiple of the peer's. */
export function compareBlk(result: CaseResult): number {
  return ratio(result, OURS, PEER, ({ ops, seconds }: RunResult) => ops / seconds);
}

/** A row for each case, as a Markdown table. */
export function formatBlkTable({ cases }: BlkReport): string {
  const header = ['disk', 'QD', `${OURS} IOPS`, 'cpu µs/op', `${PEER} IOPS`, 'cpu µs/op', 'ratio', 'wanted', ''];
  const rows = cases.map((result) => {
    const cells = (side: string) => {
      const { opsPerSecond, cpuUsPerOp } = result.summary[side]!;
      return [figure(opsPerSecond), figure(cpuUsPerOp)];
    };
    const found = compareBlk(result);
    const verdict = found >= WANTED ? 'met' : 'MISSED';
    return [
      result.workload,
      String(result.depth),
      ...cells(OURS),
      ...cells(PEER),
      found.toFixed(2),
      WANTED.toFixed(2),
      verdict,
    ];
  });
  return alignColumns([header, ...rows]);
}
