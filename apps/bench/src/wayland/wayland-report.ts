/** What the part about Wayland prints. */
import { median } from '../median.ts';
import { alignColumns, figure } from '../table.ts';

/** CPU time of one operation, µs, by who spent it. */
export interface CpuShares {
  /** Guest under QEMU: client, kernel and proxy. */
  readonly guest: number;
  readonly oriel: number;
  readonly compositor: number;
}

/** One run of the guest: the median of its operations. */
export interface GuestRun {
  readonly us: number;
  readonly cpu: CpuShares;
}

/** A workload, measured by turns on the host and in the guest. */
export interface WaylandCase {
  readonly workload: string;
  /** Pixels of an operation. */
  readonly bytes: number;
  /** Medians of each round, µs. */
  readonly host: readonly number[];
  readonly guest: readonly GuestRun[];
}

export interface WaylandReport {
  readonly cases: readonly WaylandCase[];
}

/** Medians over the rounds; `ratio` is how many times longer the guest takes. */
export function summarizeWayland({ host, guest }: Pick<WaylandCase, 'host' | 'guest'>) {
  const hostUs = median([...host]);
  const guestUs = median(guest.map(({ us }) => us));
  const share = (of: keyof CpuShares) => median(guest.map(({ cpu }) => cpu[of]));
  const cpu: CpuShares = { guest: share('guest'), oriel: share('oriel'), compositor: share('compositor') };
  return { hostUs, guestUs, ratio: guestUs / hostUs, cpu };
}

/** A row for each workload, as a Markdown table. */
export function formatWaylandTable({ cases }: WaylandReport): string {
  const sides = ['host µs', 'guest µs', 'ratio', 'host MB/s', 'guest MB/s'];
  const header = ['workload', ...sides, 'cpu µs/op: guest', 'oriel', 'compositor'];
  const rows = cases.map((one) => {
    const { hostUs, guestUs, ratio, cpu } = summarizeWayland(one);
    const speed = (us: number) => (one.bytes === 0 ? '-' : figure(one.bytes / us));
    const times = [figure(hostUs), figure(guestUs), ratio.toFixed(1), speed(hostUs), speed(guestUs)];
    return [one.workload, ...times, figure(cpu.guest), figure(cpu.oriel), figure(cpu.compositor)];
  });
  return alignColumns([header, ...rows]);
}
