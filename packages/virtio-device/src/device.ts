/** The contract between a virtio device and whoever carries it: what an author writes, and what the author is given. */
import type { GuestMemory, RegionFile } from '@oriel/guest-memory';
import type { ShmRegion } from '@oriel/shm-region';
import type { EventLoop, Fd, Logger, Offload, Sys } from '@oriel/sys';
import type { FeatureSet } from '@oriel/vhost-user';
import type { DeviceQueue } from '@oriel/virtqueue';

/** What a device gets from its host at `attach`; valid until `detach`. */
export interface DeviceHost {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly log: Logger;
  /** Guest memory of the present connection. */
  readonly memory: GuestMemory;
  /** The device's shared memory region. @throws RangeError for an shmid that it did not declare */
  region(shmid: number): ShmRegion;
  /** Helper threads for what would block; they start at the first use. */
  readonly offload: Offload;
  /** The process that connected, 0 when that is not known: it may have handed the connection on. */
  readonly frontendPid: number;
  /** Tells the driver that the configuration space changed. */
  configChanged(): void;
}

/** A shared memory region that a device declares (VIRTIO 1.3, 2.10). */
export interface RegionDeclaration {
  /** 0..255, as the device's specification says (fs: 0, gpu: 1). */
  readonly shmid: number;
  /** Bytes; a multiple of the page size. */
  readonly size: number;
}

/** A virtio device: what an author writes. All calls are synchronous and run on the device's loop. */
export interface VirtioDevice {
  /** For logs and diagnostics. */
  readonly name: string;
  /** virtio device id (VIRTIO 1.3, 5; fs: 26). */
  readonly deviceId: number;
  /** Device-specific feature bits (0..23, 50..63; VIRTIO 1.3, 2.2); ring and transport bits are added by `serve`. */
  readonly features: FeatureSet;
  readonly queueCount: number;
  /** Largest ring accepted; a power of two up to 32768. */
  readonly maxQueueSize: number;
  /** The configuration space, at most 256 bytes; read afresh at each GET_CONFIG. Its length never changes. */
  readonly config: Uint8Array;
  readonly shmRegions?: readonly RegionDeclaration[];
  /** True for devices that need Promises: refused by the blocking driver. */
  readonly asynchronous?: boolean;
  /** A front-end connected. */
  attach(host: DeviceHost): void;
  /** The driver wrote the configuration space; the range lies inside it. Absent: refused. */
  writeConfig?(offset: number, bytes: Uint8Array): void;
  /**
   * Asked of each region that the front-end announces, when it does: false, and the file is closed at once, never mapped, and
   * of no use to the queues (`MemoryRegion.foreign`). A front-end announces all that the guest can reach: RAM, but also what
   * this device and others put into their windows, files of the host among it. `sealed` is what tells RAM that rings can
   * stand in: a device that only works there may refuse the rest, and its own files by `dev` and `ino`. Absent: all is
   * needed, as by a device that reads and writes wherever a driver points.
   */
  needsMemory?(file: RegionFile): boolean;
  /**
   * VHOST_USER_GPU_SET_SOCKET: the front-end's display channel, a connected stream socket; given away. It comes behind
   * `attach` and before the features, at each start anew, and replaces the one before; the device closes it at `detach`.
   * Absent: the message is refused.
   */
  setDisplaySocket?(socket: Fd): void;
  /** Accepted device features, before the first startQueue and again behind each `reset`. */
  setFeatures?(features: FeatureSet): void;
  /**
   * The queue runs from now on. `fresh`: a new driver has it (its ring base is 0), and knows of no earlier chain: heads kept
   * of this queue are forgotten. Otherwise the driver that had it before goes on and still waits for what was kept:
   * `queue.takeBack` brings each of those chains back, here, before anything else is taken from the queue.
   */
  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void;
  /** Work may be there: take chains until `next()` gives null or `budget` chains were taken. @returns true when more is left */
  process(index: number, budget: number): boolean;
  /**
   * The queue stops: complete, unfetch or keep every chain that is held now; nothing is touched after this returns. Give
   * back what `unfetch` takes; for a chain that it does not take, since a later one was completed, remember the head that
   * `keep` returns, and what was asked in it if that is not to be done twice. Must not wait for an answer of the front-end.
   */
  stopQueue(index: number): void;
  /**
   * A driver starts afresh or the front-end said reset: guest-visible state to initial, kept heads forgotten; shared memory
   * mappings are gone from the ledger where the front-end dropped them.
   */
  reset(): void;
  /** The front-end left; release what belonged to it, kept heads too. Queues are stopped, regions are already forgotten. */
  detach(): void;
  /** End of the device's life. */
  [Symbol.dispose](): void;
}
