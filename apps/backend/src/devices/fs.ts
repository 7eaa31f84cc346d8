/** Makes the virtio-fs device over a directory of the host: loaded by a device's thread. */

import type { DaxGuard, DaxTail } from '@oriel/fs-dax';
import { FsDevice } from '@oriel/fs-dax';
import {
  type CachePolicy,
  type InodeFileHandles,
  limitsForDescriptors,
  PassthroughFilesystem,
} from '@oriel/fs-passthrough';
import { checkGuard } from '../dax-guard.ts';
import type { DeviceContext, DeviceInstance } from '../device-module.ts';

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
  readonly readonly: boolean;
  readonly cache: CachePolicy;
  readonly xattr: boolean;
  readonly inodeFileHandles: InodeFileHandles;
  readonly queueSize: number;
  readonly numRequestQueues: number;
  /** Descriptors that the process may have open. */
  readonly descriptors: number;
}

/** Descriptors of Node, the loop, the socket and its channels. */
const BASE_DESCRIPTORS = 64;
/** Kick, call and error of a queue. */
const DESCRIPTORS_A_QUEUE = 3;

/** Descriptors that are left for the share's files. */
function shareDescriptors(settings: FsDeviceSettings, context: DeviceContext): number {
  const { maxMemSlots, limits } = context.profile;
  const queues = (settings.numRequestQueues + 1) * DESCRIPTORS_A_QUEUE;
  const mappings = settings.windowSize > 0 ? Math.min(limits.maxMappings, settings.windowSize / 4096) : 0;
  return settings.descriptors - BASE_DESCRIPTORS - queues - maxMemSlots - mappings;
}

/** Opens the share and makes the device. */
export function createDevice(context: DeviceContext, options: unknown): DeviceInstance {
  const settings = options as FsDeviceSettings;
  const { sys, offload, log } = context;
  const { sharedDir, stateDir, tail, daxMinSize, guard, windowSize } = settings;
  const fs = new PassthroughFilesystem({
    sys,
    sharedDir,
    readonly: settings.readonly,
    cache: settings.cache,
    xattr: settings.xattr,
    inodeFileHandles: settings.inodeFileHandles,
    daxKeepCache: windowSize > 0,
    offload,
    log,
    limits: limitsForDescriptors(shareDescriptors(settings, context)),
  });
  try {
    if (windowSize > 0) {
      checkGuard(sys, sharedDir, guard);
    }
    const device = new FsDevice({
      sys,
      fs,
      log,
      tag: settings.tag,
      windowSize,
      sharedDir,
      dax: { tail, minSize: daxMinSize, guard, ...(stateDir === undefined ? {} : { stateDir }) },
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
