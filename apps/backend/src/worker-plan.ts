/** What the main thread and a device's thread tell each other: plain data. */
import type { FrontendProfile } from '@oriel/vhost-user';
import type { LauncherTerms } from '@oriel/virtio-device';
import type { ControlAnswer, ControlRequest, Frame } from './device-module.ts';
import type { LogSettings } from './logging.ts';
import type { CellPlan } from './sandbox/device-cell.ts';

/** One device: what its thread needs, and what the main thread does for it. */
export interface WorkerPlan {
  /** Address of the module that makes the device: see `DeviceModule`. */
  readonly module: string;
  /** The device's kind: the command that serves it. */
  readonly type: string;
  /** Options for that module. */
  readonly options: unknown;
  readonly frontend: FrontendProfile['name'];
  /** Exactly one of `socketPath` and `fd`. */
  readonly socketPath: string | undefined;
  /** Group id of the socket file, -1 for none. */
  readonly socketGroup: number;
  readonly fd: number | undefined;
  /** Where frames are kept. */
  readonly screenshotDir: string | undefined;
  /** Live mappings; undefined: the front-end's own limit. */
  readonly maxMappings: number | undefined;
  /** False: a memory table of at most 8 regions. */
  readonly memorySlots: boolean;
  /** Packed rings are offered beside split ones. */
  readonly packedRings: boolean;
  readonly spinNs: number;
  /** What is to be done when the process dies. */
  readonly restart: 'no' | 'on-failure';
  /** `name` names the device. */
  readonly log: LogSettings;
}

/** A device's thread begins with this. */
export interface WorkerData {
  readonly plan: WorkerPlan;
  /** An eventfd that is written after each message to the thread: its loop sleeps where no message wakes it. */
  readonly wakeFd: number;
  /** Who launched this process, with what it held of this device; null: nobody who holds anything. */
  readonly launcher: LauncherTerms | null;
  /** Where the thread is to be shut in; null: nowhere. */
  readonly cell: CellPlan | null;
}

/** Why a device keeps its front-end for now: asked again, it may hand it over. */
export const BUSY = 'a message is under way';

/** To the device's thread. `shown` answers a `frame`. */
export type ThreadMessage =
  | { readonly kind: 'stop' }
  | { readonly kind: 'hand-over' }
  | { readonly kind: 'request'; readonly id: number; readonly request: ControlRequest }
  | { readonly kind: 'shown'; readonly id: number };

/**
 * From the device's thread: `ready` once it serves, then answers and frames; `handed-over` or `kept` behind a `hand-over`; at last `ended` when it stopped as it was told
 * or its front-end left for good, or `failed` with a line for the person who started it.
 */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: ControlAnswer }
  | { readonly kind: 'refused'; readonly id: number; readonly message: string }
  | { readonly kind: 'frame'; readonly id: number; readonly frame: Frame }
  | { readonly kind: 'handed-over' }
  | { readonly kind: 'kept'; readonly message: string }
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly message: string };
