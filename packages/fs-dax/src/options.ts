/** How a virtio-fs device is made. */
import type { Filesystem } from '@oriel/fuse';
import type { Logger, Sys } from '@oriel/sys';
import type { GrowthStep } from './dax/growth.ts';
import type { DaxOptions } from './dax/options.ts';
import { FsDaxError } from './errors.ts';
import { DAX_RANGE } from './layout.ts';

export interface FsDeviceOptions {
  readonly sys: Sys;
  /** Served; not owned: the caller disposes it after the device. */
  readonly fs: Filesystem;
  /** What the guest mounts, 1 to 36 bytes. */
  readonly tag: string;
  /** Bytes, a multiple of 2 MiB; 0 (the default): no window. */
  readonly windowSize?: number;
  readonly dax?: DaxOptions;
  /** The directory served, where files that a killed process left grown are found again. */
  readonly sharedDir?: string;
  /** Default 1. */
  readonly numRequestQueues?: number;
  /** Largest ring accepted, a power of two; default 1024. */
  readonly queueSize?: number;
  /** False: no READDIRPLUS. */
  readonly readdirplus?: boolean;
  readonly log?: Logger;
  /**
   * Keep what another process needs to go on with the session, where the server gives memory for it (`serve`'s `survive`) and
   * the file system can: see docs/design/survival.md. Default false.
   */
  readonly survive?: boolean;
  /** For tests that end the process at a step of a growth. */
  readonly onGrowthStep?: (step: GrowthStep) => void;
}

/** @throws FsDaxError ERR_FSDAX_OPTION, ERR_FSDAX_WINDOW */
export function checkSizes(queueSize: number, windowSize: number): void {
  if (!Number.isInteger(Math.log2(queueSize)) || queueSize < 8 || queueSize > 32768) {
    throw new FsDaxError('ERR_FSDAX_OPTION', `queue size ${queueSize}; give a power of two from 8 to 32768`);
  }
  if (windowSize < 0 || windowSize % DAX_RANGE !== 0 || !Number.isSafeInteger(windowSize)) {
    throw new FsDaxError(
      'ERR_FSDAX_WINDOW',
      `a window of ${windowSize} bytes; give a multiple of 2 MiB, or 0 for none`,
    );
  }
}
