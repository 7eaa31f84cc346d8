/** `oriel fs` for the soak. */
import type { DaxTail } from '@oriel/fs-dax';
import type { Sys } from '@oriel/sys';
import { canGuard, canSandbox } from '@oriel/sys/testing';
import { OrielProcess } from '../oriel-process.ts';

/** How `oriel fs` is started. */
export interface FsOptions {
  /** Directory for socket, log and state. */
  readonly dir: string;
  readonly sharedDir: string;
  readonly tail: DaxTail;
  /** Bytes. */
  readonly windowSize: number;
  readonly daxMinSize: number;
}

export function startOrielFs(sys: Sys, options: FsOptions): OrielProcess {
  const { dir, sharedDir, tail, windowSize, daxMinSize } = options;
  const rules = [`--dax-tail=${tail}`, `--dax-min-size=${daxMinSize}`, `--state-dir=${dir}`];
  const share = [`--shared-dir=${sharedDir}`, '--tag=soak', `--window=${windowSize}`];
  if (!canGuard(sys, sharedDir)) rules.push('--dax-unguarded');
  if (!canSandbox()) rules.push('--sandbox=none');
  return new OrielProcess(sys, { dir, sockets: 1, args: ([fd]) => ['fs', `--fd=${fd}`, ...share, ...rules] });
}
