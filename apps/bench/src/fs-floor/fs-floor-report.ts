/** What is printed of the floor of small requests. */
import type { RunResult } from '../driver/runner.ts';
import { ratio } from '../measure.ts';
import type { FsCase, FsReport } from '../report.ts';
import { alignColumns, figure } from '../table.ts';
import { FLOOR } from './fs-floor.ts';

const perSecond = (run: RunResult) => run.ops / run.seconds;
const cpuPerOp = (run: RunResult) => run.backendCpuUs / run.ops;

/** Cases with a floor, each over one queue of ours. */
function withFloor({ cases }: FsReport): FsCase[] {
  return cases.filter(({ summary }) => summary[FLOOR] !== undefined);
}

/** The floor, and every side as a ratio to it, as a Markdown table; null: there was none. */
export function formatFsFloorTable(report: FsReport): string | null {
  const cases = withFloor(report);
  if (cases.length === 0) return null;
  const sides = report.sides.map(({ name }) => name);
  const header = ['workload', 'QD', 'floor ops/s', 'p50 µs', 'cpu µs/op'];
  for (const name of sides) header.push(`${name} ops ratio`, 'cpu ratio');
  const rows = cases.map((result) => {
    const { opsPerSecond, p50Us, cpuUsPerOp } = result.summary[FLOOR]!;
    const row = [result.workload, String(result.depth), ...[opsPerSecond, p50Us, cpuUsPerOp].map(figure)];
    for (const name of sides) {
      row.push(...[perSecond, cpuPerOp].map((figureOf) => ratio(result, name, FLOOR, figureOf).toFixed(2)));
    }
    return row;
  });
  return alignColumns([header, ...rows]);
}
