/**
 * CONTRACT (lead): what virtio-device offers to device authors. The helper turns each `declare` into real exports in files
 * of their own and deletes this file; names and meaning stay.
 */
import type { GuestMemory } from '@oriel/guest-memory';
import type { RegionLimits, ShmRegion } from '@oriel/shm-region';
import type { EventLoop, Logger, Offload, Sys } from '@oriel/sys';
import type { FeatureSet, FrontendProfile } from '@oriel/vhost-user';
import type { DeviceQueue } from '@oriel/virtqueue';

/** What a device gets from its host at `attach`. */
export interface DeviceHost {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly log: Logger;
  /** Guest memory of the present connection. */
  readonly memory: GuestMemory;
  /** The device's shared memory region. @throws RangeError for an shmid that it did not declare */
  region(shmid: number): ShmRegion;
  /** Helper threads for what would block. */
  readonly offload: Offload;
  /** Tells the driver that the configuration space changed. */
  configChanged(): void;
}

/** A virtio device: what an author writes. All calls are synchronous and run on the device's loop. */
export interface VirtioDevice {
  readonly name: string;
  /** virtio device id (fs: 26). */
  readonly deviceId: number;
  /** Device-specific feature bits (0..23, 50..63); ring and transport bits are added by `serve`. */
  readonly features: FeatureSet;
  readonly queueCount: number;
  /** Largest ring accepted. */
  readonly maxQueueSize: number;
  /** The configuration space; read afresh at each GET_CONFIG. */
  readonly config: Uint8Array;
  readonly shmRegions?: readonly { readonly shmid: number; readonly size: number }[];
  /** A front-end connected. */
  attach(host: DeviceHost): void;
  /** Driver wrote the configuration space. Absent: refused. */
  writeConfig?(offset: number, bytes: Uint8Array): void;
  /** Accepted device features, before the first startQueue. */
  setFeatures?(features: FeatureSet): void;
  /** The queue runs from now on. `fresh`: its ring base is 0 (a new driver) rather than a saved one (resume after a pause). */
  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void;
  /** Work may be there: take chains until `next()` gives null or `budget` chains were taken. @returns true when more is left */
  process(index: number, budget: number): boolean;
  /**
   * The queue stops: complete or unfetch what is held now; nothing is touched after this returns. Must not wait for an
   * answer of the front-end.
   */
  stopQueue(index: number): void;
  /** A driver starts afresh or the front-end said reset: guest-visible state to initial; shared memory mappings are gone
   * from the ledger where the front-end dropped them. */
  reset(): void;
  /** The front-end left; release what belonged to it. Regions are already forgotten. */
  detach(): void;
  /** End of the device's life. */
  [Symbol.dispose](): void;
  /** True for devices that need Promises: refused by the blocking driver. */
  readonly asynchronous?: boolean;
}

export interface ServeOptions {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly profile: FrontendProfile;
  readonly log?: Logger;
  /** Listen here (mode 0600, or 0660 with a group)... */
  readonly socketPath?: string;
  readonly socketGroup?: number;
  /** ... or serve this socket, connected or listening (asked of the kernel). Given away. */
  readonly fd?: number;
  /** Share of the profile's mappings for this device; default all. */
  readonly maxMappings?: number;
  /** Chains per process() call before other queues get their turn; default 64. */
  readonly batch?: number;
  /** Spin before sleeping is the loop's own option; `poll: false` keeps queues out of it. */
  readonly poll?: boolean;
  readonly onEvent?: (event: 'listening' | 'connected' | 'started' | 'stopped' | 'disconnected', detail: string) => void;
  /** Connections to serve before returning; default unlimited for a listening socket, 1 for a connected one. */
  readonly maxConnections?: number;
}

/**
 * Puts a device on a vhost-user socket. Returns at once; the loop's `run()` does the work. Accepts the next connection after
 * a front-end leaves. EMFILE at accept never ends it.
 */
export declare function serve(device: VirtioDevice, options: ServeOptions): DeviceServer;

export interface DeviceServer extends Disposable {
  readonly connected: boolean;
  readonly stats: Record<string, number>;
  /** Stops queues, closes the connection, removes the socket file it made. */
  [Symbol.dispose](): void;
}

export type { FrontendProfile, RegionLimits };
