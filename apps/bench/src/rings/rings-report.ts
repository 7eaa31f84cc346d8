/** What the part about rings prints. */
import type { RunResult } from '../driver/runner.ts';
import { type CaseResult, ratio } from '../measure.ts';
import { alignColumns, figure } from '../table.ts';
import { OURS, PLAIN_C, RUST } from './ring-peers.ts';

/** Everything that the part found. */
export interface RingsReport {
  readonly ours: string;
  readonly cases: readonly CaseResult[];
}

/** Chains a second, ours as multiples of a peer's. */
export interface RingComparison {
  readonly peer: string;
  readonly ratio: number;
}

/** What is aimed at: five times the crate with its Reader and Writer, a fifth of plain C. */
const WANTED: Readonly<Record<string, number>> = { [RUST]: 5, [PLAIN_C]: 0.2 };

const perSecond = (run: RunResult) => run.ops / run.seconds;

/** A case against each peer that took part. */
export function compareRings(result: CaseResult): RingComparison[] {
  const peers = Object.keys(result.summary).filter((side) => side !== OURS);
  return peers.map((peer) => ({ peer, ratio: ratio(result, OURS, peer, perSecond) }));
}

/** A row for each case and peer, as a Markdown table. */
export function formatRingsTable({ ours, cases }: RingsReport): string {
  const header = ['rings', 'batch', `${ours} M/s`, 'ns', 'peer', 'M/s', 'ns', 'ratio', 'wanted'];
  const rows = cases.flatMap((result) => {
    const cells = (side: string) => {
      const { opsPerSecond } = result.summary[side]!;
      return [figure(opsPerSecond / 1e6), figure(1e9 / opsPerSecond)];
    };
    const own = [result.workload, String(result.depth), ...cells(ours)];
    const others = compareRings(result).map(({ peer, ratio }) => [
      peer,
      ...cells(peer),
      ratio.toFixed(2),
      WANTED[peer]!.toFixed(2),
    ]);
    if (others.length === 0) return [[...own, '-', '-', '-', '-', '-']];
    return others.map((cellsOfPeer, index) => [...(index === 0 ? own : own.map(() => '')), ...cellsOfPeer]);
  });
  return alignColumns([header, ...rows]);
}
