/** The machine that figures come from. */
import { arch, cpus, loadavg, release, totalmem } from 'node:os';
import { allowedCpus } from './cpu.ts';

/** What a reader needs to know of it. */
export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly arch: string;
  readonly node: string;
  /** Load before the start, of one minute: other work makes figures worthless. */
  readonly load: number;
}

/** Looks now. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: allowedCpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    arch: arch(),
    node: process.version,
    load: loadavg()[0]!,
  };
}
