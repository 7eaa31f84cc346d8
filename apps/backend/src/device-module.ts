/** What a module that makes a device exports. */
import type { EventLoop, Logger, Offload, Sys } from '@oriel/sys';
import type { FrontendProfile } from '@oriel/vhost-user';
import type { VirtioDevice } from '@oriel/virtio-device';

/** What the device's thread lends to the module. */
export interface DeviceContext {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly offload: Offload;
  readonly log: Logger;
  readonly profile: FrontendProfile;
}

/** A device with whatever stands behind it. */
export interface DeviceInstance extends Disposable {
  readonly device: VirtioDevice;
  /** Disposes the device and what stands behind it. */
  [Symbol.dispose](): void;
}

/** The module's export. */
export interface DeviceModule {
  /** @param options - plain data, checked by the command that made it @throws with one line that says what to change */
  createDevice(context: DeviceContext, options: unknown): DeviceInstance;
}
