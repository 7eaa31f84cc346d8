/** What the back-end of the tests is told, as JSON on its command line. */
import type { DaxGuard, DaxTail, GrowthStep, GuardStats } from '@oriel/fs-dax';
import type { FrontendProfile } from '@oriel/vhost-user';

export interface BackendOptions {
  readonly socketPath: string;
  readonly sharedDir: string;
  readonly logPath: string;
  /** Bytes; 0: no window. */
  readonly windowSize: number;
  readonly tail: DaxTail;
  /** Default 'off'. */
  readonly guard?: DaxGuard;
  readonly minSize: number;
  /** Where the record of grown files lies. */
  readonly stateDir: string | null;
  readonly frontend: FrontendProfile['name'];
  /** Default: the front-end's. */
  readonly fenceTimeoutMs?: number;
  /** The process kills itself at this step of a growth. */
  readonly dieAt: GrowthStep | null;
}

/** What it tells about itself. */
export interface BackendStats {
  /** Counters of the server: see `DeviceServer.stats`. */
  readonly server: Readonly<Record<string, number>>;
  readonly inodes: number;
  readonly handles: number;
  readonly guard: GuardStats;
}

/** Bytes on its standard input. */
export const ASK_STATS = 's';
