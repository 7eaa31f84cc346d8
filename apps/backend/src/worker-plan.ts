/** What the main thread and a device's thread tell each other: plain data. */
import type { FrontendProfile } from '@oriel/vhost-user';
import type { LogSettings } from './logging.ts';

/** Everything a device's thread needs. */
export interface WorkerPlan {
  /** Address of the module that makes the device: see `DeviceModule`. */
  readonly module: string;
  /** Options for that module. */
  readonly options: unknown;
  readonly frontend: FrontendProfile['name'];
  /** Exactly one of `socketPath` and `fd`. */
  readonly socketPath: string | undefined;
  /** Group id of the socket file, -1 for none. */
  readonly socketGroup: number;
  readonly fd: number | undefined;
  /** Live mappings; undefined: the front-end's own limit. */
  readonly maxMappings: number | undefined;
  readonly spinNs: number;
  readonly log: LogSettings;
}

/**
 * From the device's thread: `ready` once it serves, `counters` whenever `countersFd` was written to; at last `ended` when
 * it stopped as it was told or its front-end left for good, or `failed` with a line for the person who started it.
 */
export type WorkerMessage =
  | { readonly kind: 'ready'; readonly stopFd: number; readonly countersFd: number }
  | { readonly kind: 'counters'; readonly counters: Readonly<Record<string, number>> }
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly message: string };
