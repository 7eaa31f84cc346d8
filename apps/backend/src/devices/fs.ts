/** Makes the virtio-fs device over a directory of the host: loaded by a device's thread. */

import type { DaxGuard, DaxTail } from '@oriel/fs-dax';
import { FsDevice } from '@oriel/fs-dax';
import { limitsForDescriptors, PassthroughFilesystem, type PassthroughOptions } from '@oriel/fs-passthrough';
import { checkGuard } from '../dax-guard.ts';
import type { DeviceContext, DeviceInstance } from '../device-module.ts';
import { shareDescriptors } from '../share-descriptors.ts';

/** How the directory is served: plain data. */
export type ShareSettings = Omit<
  PassthroughOptions,
  'sys' | 'sharedDir' | 'offload' | 'remoteOffload' | 'log' | 'limits' | 'timer' | 'daxKeepCache'
>;

/** Settings of `oriel fs`, checked. */
export interface FsDeviceSettings {
  readonly tag: string;
  readonly sharedDir: string;
  readonly stateDir: string | undefined;
  readonly tail: DaxTail;
  /** Bytes; 0: no window. */
  readonly windowSize: number;
  readonly daxMinSize: number;
  readonly guard: DaxGuard;
  readonly share: ShareSettings;
  /** Calls that may wait for helper threads at one time. */
  readonly threadPoolSize: number;
  readonly queueSize: number;
  readonly numRequestQueues: number;
  /** Descriptors that the process may have open. */
  readonly descriptors: number;
}

/** Opens the share and makes the device. */
export function createDevice(context: DeviceContext, options: unknown): DeviceInstance {
  const settings = options as FsDeviceSettings;
  const { sys, offload, log, confinement } = context;
  const { sharedDir, stateDir, tail, daxMinSize, guard, windowSize } = settings;
  const limits = limitsForDescriptors(shareDescriptors(settings, context.profile));
  const fs = new PassthroughFilesystem({
    ...settings.share,
    sys,
    sharedDir: confinement?.share == null ? sharedDir : `/proc/self/fd/${confinement.share}`,
    timer: (delayMs, call) => context.loop.timer(delayMs, call),
    daxKeepCache: windowSize > 0,
    offload,
    remoteOffload: context.remoteOffload,
    log,
    limits: { ...limits, maxPending: settings.threadPoolSize },
  });
  try {
    if (windowSize > 0 && confinement === null) {
      checkGuard(sys, sharedDir, guard);
    }
    const guardHost = confinement?.guardHost;
    const device = new FsDevice({
      sys,
      fs,
      log,
      tag: settings.tag,
      windowSize,
      sharedDir,
      dax: {
        tail,
        minSize: daxMinSize,
        guard,
        ...(guardHost == null ? {} : { guardHost }),
        ...(stateDir === undefined ? {} : { stateDir }),
      },
      survive: context.survives,
      queueSize: settings.queueSize,
      numRequestQueues: settings.numRequestQueues,
    });
    return {
      device,
      [Symbol.dispose]() {
        device[Symbol.dispose]();
        fs[Symbol.dispose]();
      },
    };
  } catch (error) {
    fs[Symbol.dispose]();
    throw error;
  }
}
