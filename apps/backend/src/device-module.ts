/** What a module that makes a device exports. */

import type { GuardHost } from '@oriel/fs-dax';
import type { EventLoop, HelperThreads, Logger, Offload, Sys } from '@oriel/sys';
import type { FrontendProfile } from '@oriel/vhost-user';
import type { VirtioDevice } from '@oriel/virtio-device';

/** A picture of a display: rows tight, four bytes a pixel in the order B, G, R, X. */
export interface Frame {
  readonly scanout: number;
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array<ArrayBuffer>;
}

/** A request of `oriel ctl`, from a line that anybody with the same user id wrote. */
export interface ControlRequest {
  readonly command: string;
  readonly [field: string]: unknown;
}

/** What it gets: entries, each of which becomes a line, or a picture. */
export type ControlAnswer =
  | { readonly kind: 'entries'; readonly entries: readonly object[] }
  | { readonly kind: 'frame'; readonly frame: Frame };

/** A request that cannot be done, in one line for the person who asked. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
}

/** What a device in a sandbox has that another does not need. */
export interface Confinement {
  /** A descriptor of the share, whose mounts outlive this process; null: its path leads there. */
  readonly share: number | null;
  /** Guards mapped files in place of this process; null: they are not guarded. */
  readonly guardHost: GuardHost | null;
}

/** What the device's thread lends to the module. */
export interface DeviceContext {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly offload: Offload;
  /** For calls that may never return. */
  readonly remoteOffload: HelperThreads;
  readonly log: Logger;
  readonly profile: FrontendProfile;
  /** Mappings that the device may hold. */
  readonly maxMappings: number;
  /** Somebody starts this process again when it dies, and holds the device's state meanwhile. */
  readonly survives: boolean;
  /** Null: the device has all rights of its user. */
  readonly confinement: Confinement | null;
  /** Gives a picture away to be kept. `shown` comes when it was written, so that pictures never pile up. */
  showFrame(frame: Frame, shown: () => void): void;
}

/** A device with whatever stands behind it. */
export interface DeviceInstance extends Disposable {
  readonly device: VirtioDevice;
  /** Counters of the device's own, beside those of its queues and regions. */
  readonly stats?: () => Readonly<Record<string, number>>;
  /** Carries out a request of `oriel ctl`, on the loop. @throws ControlError */
  readonly control?: (request: ControlRequest) => ControlAnswer;
  /** Disposes the device and what stands behind it. */
  [Symbol.dispose](): void;
}

/** The module's export. */
export interface DeviceModule {
  /** @param options - plain data, checked by the command that made it @throws with one line that says what to change */
  createDevice(context: DeviceContext, options: unknown): DeviceInstance;
}
