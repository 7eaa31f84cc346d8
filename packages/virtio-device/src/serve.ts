/** `serve`: puts a device on a vhost-user socket. */

import type { EventLoop, HelperThreads, Logger, Sys } from '@oriel/sys';
import { Fd, silentLogger } from '@oriel/sys';
import { FeatureSet, type FrontendProfile } from '@oriel/vhost-user';
import { checkDefinition } from './definition.ts';
import type { VirtioDevice } from './device.ts';
import { type DeviceServer, type ServeEvent, SocketServer } from './device-server.ts';
import { DeviceError } from './errors.ts';
import { optionalRingFeatures } from './features.ts';
import type { SurvivalOptions } from './survival/survival.ts';

/** How a device is served. Exactly one of `socketPath` and `fd` is given. */
export interface ServeOptions {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly profile: FrontendProfile;
  /** Default: silent. */
  readonly log?: Logger;
  /** Helper threads for the device; default: one, which starts at the first use. Stays the caller's. */
  readonly offload?: HelperThreads;
  /** Listen here (mode 0600, or 0660 with a group)... */
  readonly socketPath?: string;
  /** Group id of the socket file. */
  readonly socketGroup?: number;
  /** ... or serve this socket, connected or listening (asked of the kernel). Given away. */
  readonly fd?: number;
  /** Share of the profile's mappings for this device; default all. */
  readonly maxMappings?: number;
  /**
   * Features of the rings that are offered beside INDIRECT_DESC and EVENT_IDX: any of VIRTIO_F_RING_PACKED, IN_ORDER and
   * RING_RESET; default none. QEMU's test device passes on to the guest what is offered here, others ask (`packed=on`).
   * IN_ORDER holds back what a device completes before its turn: for devices that seldom do.
   */
  readonly ringFeatures?: FeatureSet;
  /** Given: the device answers each request once, also when its process is killed and started again. */
  readonly survive?: SurvivalOptions;
  /** Chains per process() call before other queues get their turn; default 64. */
  readonly batch?: number;
  /** Spin before sleeping is the loop's own option; `poll: false` keeps queues out of it. */
  readonly poll?: boolean;
  readonly onEvent?: (event: ServeEvent, detail: string) => void;
  /** Connections to serve in all; default unlimited for a listening socket, 1 for a connected one. */
  readonly maxConnections?: number;
  /** Called when `maxConnections` front-ends have come and gone; default: `loop.stop()`. */
  readonly onEnd?: () => void;
}

const DEFAULT_BATCH = 64;

function positive(value: number, name: string): number {
  if (value !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(value) || value < 1)) {
    throw new DeviceError('ERR_DEVICE_OPTIONS', `${name} is ${value}, wanted a whole number from 1`);
  }
  return value;
}

function ringFeaturesOf(wanted = new FeatureSet()): FeatureSet {
  const others = wanted.minus(optionalRingFeatures);
  if (!others.isEmpty) {
    throw new DeviceError(
      'ERR_DEVICE_OPTIONS',
      `ringFeatures has ${others.bits().join(', ')}, wanted any of ${optionalRingFeatures.bits().join(', ')}`,
    );
  }
  return wanted;
}

/**
 * Puts a device on a vhost-user socket. Returns at once; the loop's `run()` does the work. Accepts the next connection
 * after a front-end leaves. A lack of descriptors at accept never ends it. The device stays the caller's: dispose the
 * server first, then the device.
 * @throws DeviceError; `fd` is closed then and no socket file is left
 */
export function serve(device: VirtioDevice, options: ServeOptions): DeviceServer {
  const { sys, loop, profile } = options;
  const socket = options.fd === undefined ? null : new Fd(sys.fd, options.fd);
  try {
    if ((socket === null) === (options.socketPath === undefined)) {
      throw new DeviceError('ERR_DEVICE_OPTIONS', 'give exactly one of socketPath and fd');
    }
    if (device.asynchronous === true && loop.driver === 'blocking') {
      throw new DeviceError(
        'ERR_DEVICE_ASYNC',
        `device ${device.name} needs Promises: use a loop with the node driver`,
      );
    }
    checkDefinition(device, profile);
    return new SocketServer(device, socket, {
      sys,
      loop,
      profile,
      log: options.log ?? silentLogger,
      offload: options.offload,
      socketPath: options.socketPath,
      socketGroup: options.socketGroup ?? -1,
      maxMappings: positive(options.maxMappings ?? profile.limits.maxMappings, 'maxMappings'),
      ringFeatures: ringFeaturesOf(options.ringFeatures),
      batch: positive(options.batch ?? DEFAULT_BATCH, 'batch'),
      poll: options.poll ?? true,
      survive: options.survive,
      maxConnections: positive(options.maxConnections ?? Number.POSITIVE_INFINITY, 'maxConnections'),
      onEvent: options.onEvent ?? (() => {}),
      onEnd: options.onEnd ?? (() => loop.stop()),
    });
  } catch (error) {
    socket?.close();
    throw error;
  }
}
