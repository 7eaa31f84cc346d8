/** A command of SUBMIT_3D at work. */
import type { GpuStatus } from '@oriel/gpu-blob';
import type { Program } from '../program.ts';

/** One command: `size` bytes at `base`, the header included. Lent for the call. */
export interface CommandBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  base: number;
  size: number;
}

/** Does what a command says. */
export type Handler = (program: Program, command: CommandBytes) => GpuStatus;
