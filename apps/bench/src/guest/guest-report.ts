/** What the part about reads in a guest prints. */
import { median } from '../median.ts';
import { alignColumns, figure } from '../table.ts';
import { GUEST_WORKLOADS } from './workloads.ts';

const NS_PER_S = 1e9;
const MIB = 1 << 20;

/** One run: how long the file took, ns. */
export interface GuestReads {
  /** With nothing of it in the guest's caches. */
  readonly firstNs: number;
  readonly againNs: number;
}

/** A workload: by side, what each round gave. */
export interface GuestCase {
  readonly workload: string;
  readonly rounds: readonly Readonly<Record<string, GuestReads>>[];
}

export interface GuestReport {
  /** What the figures are of, in one line. */
  readonly versions: string;
  /** The peer first. */
  readonly sides: readonly string[];
  readonly cases: readonly GuestCase[];
}

/** A side's medians, and those of the ratios of its speed to the peer's within a round. */
export interface GuestSummary {
  readonly firstMiBs: number;
  readonly againMiBs: number;
  readonly firstRatio: number;
  readonly againRatio: number;
}

/** Sums a side up. */
export function summarizeGuest({ workload, rounds }: GuestCase, side: string, peer: string): GuestSummary {
  const { bytes, count } = GUEST_WORKLOADS[workload]!;
  const of = (figureOf: (round: Readonly<Record<string, GuestReads>>) => number) => median(rounds.map(figureOf));
  const speed = (ns: number) => ((bytes * count) / MIB / ns) * NS_PER_S;
  return {
    firstMiBs: of((round) => speed(round[side]!.firstNs)),
    againMiBs: of((round) => speed(round[side]!.againNs)),
    firstRatio: of((round) => round[peer]!.firstNs / round[side]!.firstNs),
    againRatio: of((round) => round[peer]!.againNs / round[side]!.againNs),
  };
}

/** The versions, then a row for each workload and side, as a Markdown table. */
export function formatGuestTable({ versions, sides, cases }: GuestReport): string {
  const [peer] = sides as [string, ...string[]];
  const header = ['workload', 'share', 'first MiB/s', 'again MiB/s', 'first ratio', 'again ratio'];
  const rows = cases.flatMap((one) => {
    return sides.map((side, index) => {
      const { firstMiBs, againMiBs, firstRatio, againRatio } = summarizeGuest(one, side, peer);
      const ratios = index === 0 ? ['', ''] : [firstRatio.toFixed(2), againRatio.toFixed(2)];
      return [index === 0 ? one.workload : '', side, figure(firstMiBs), figure(againMiBs), ...ratios];
    });
  });
  return `${versions}\n\n${alignColumns([header, ...rows])}`;
}
