/** CPU time of a process, and the cores that processes are held on. */
import { readdirSync, readFileSync } from 'node:fs';
import { BenchError } from './errors.ts';

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

/** CPUs that this process may use, out of `Cpus_allowed_list` of its status: numbers and ranges such as "0-3,8". */
export function allowedCpus(status: string = readFileSync('/proc/self/status', 'latin1')): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * Both on the last CPU, or on the last two: the first one has most of the interrupts.
 * @throws BenchError ERR_BENCH_USAGE for 'two' where there is only one
 */
export function placementFor(cores: 'one' | 'two', cpus: readonly number[] = allowedCpus()): Placement {
  const backend = cpus.at(-1)!;
  if (cores === 'one') return { driver: backend, backend };
  const driver = cpus.at(-2);
  if (driver === undefined) throw new BenchError('ERR_BENCH_USAGE', '--cores two needs two CPUs: give --cores one');
  return { driver, backend };
}

/** A command that runs on one CPU, with all its threads. */
export function onCpu(cpu: number, command: readonly string[]): string[] {
  return ['taskset', '-c', String(cpu), ...command];
}
