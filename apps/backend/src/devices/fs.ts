/** Makes the virtio-fs device over a directory of the host: loaded by a device's thread. */

import type { DaxGuard, DaxTail } from '@oriel/fs-dax';
import { FsDevice } from '@oriel/fs-dax';
import { limitsForDescriptors, PassthroughFilesystem, type PassthroughOptions } from '@oriel/fs-passthrough';
import { CliError } from '../cli/cli-error.ts';
import { checkGuard } from '../dax-guard.ts';
import type { DeviceContext, DeviceInstance } from '../device-module.ts';

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

/** Descriptors of Node, the loop, the socket and its channels, and of requests on mounts that may not answer. */
const BASE_DESCRIPTORS = 128;
/** Kick, call and error of a queue. */
const DESCRIPTORS_A_QUEUE = 3;
/** Each owner of POSIX locks in the guest has one. */
const LOCK_DESCRIPTORS = 4096;
/** The part of all descriptors that locks may take where there are few. */
const LOCK_PART = 1 / 8;

/** What a share takes at least. */
const LEAST_DESCRIPTORS = 64;

/** Descriptors that are left for the share's files. @throws CliError when they are too few */
function shareDescriptors(settings: FsDeviceSettings, context: DeviceContext): number {
  const { maxMemSlots, limits } = context.profile;
  const queues = (settings.numRequestQueues + 1) * DESCRIPTORS_A_QUEUE;
  const mappings = settings.windowSize > 0 ? Math.min(limits.maxMappings, settings.windowSize / 4096) : 0;
  const others = BASE_DESCRIPTORS + queues + maxMemSlots + mappings;
  const lockPart = settings.share.posixLocks === true ? LOCK_PART : 0;
  const least = Math.ceil((others + LEAST_DESCRIPTORS) / (1 - lockPart));
  if (settings.descriptors < least) {
    throw new CliError(
      `--rlimit-nofile: ${settings.descriptors} descriptors are too few: ${least} at least, with this window and these queues`,
    );
  }
  return settings.descriptors - others - Math.min(LOCK_DESCRIPTORS, Math.floor(settings.descriptors * lockPart));
}

/** Opens the share and makes the device. */
export function createDevice(context: DeviceContext, options: unknown): DeviceInstance {
  const settings = options as FsDeviceSettings;
  const { sys, offload, log, confinement } = context;
  const { sharedDir, stateDir, tail, daxMinSize, guard, windowSize } = settings;
  const limits = limitsForDescriptors(shareDescriptors(settings, context));
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
