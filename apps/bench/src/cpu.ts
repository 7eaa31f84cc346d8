/** CPU time of a process, and the cores that processes are held on. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** CPU time of all threads of a process, ns (first field of `schedstat`). Threads that ended are not in it. */
export function readCpuNs(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1');
    sum += Number(text.slice(0, text.indexOf(' ')));
  }
  return sum;
}

/** Where driver and back-end run. */
export interface Placement {
  /** CPU numbers. */
  readonly driver: number;
  readonly backend: number;
}

/**
 * Both on the last CPU, or on the last two: the first one has most of the interrupts.
 * @throws RangeError for 'two' on a host with one
 */
export function placementFor(cores: 'one' | 'two', cpus: number = availableParallelism()): Placement {
  if (cores === 'one') return { driver: cpus - 1, backend: cpus - 1 };
  if (cpus < 2) throw new RangeError('--cores two needs two CPUs');
  return { driver: cpus - 2, backend: cpus - 1 };
}

/** A command that runs on one CPU, with all its threads. */
export function onCpu(cpu: number, command: readonly string[]): string[] {
  return ['taskset', '--cpu-list', String(cpu), ...command];
}
