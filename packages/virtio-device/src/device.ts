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
  readonly frontend: FrontEnd;
  /** What outlives this process; null unless the device declares `stateBytes` and `serve` was given a store for it. */
  readonly state: StateMemory | null;
  /** Tells the driver that the configuration space changed. */
  configChanged(): void;
}

/** Who connected. */
export interface FrontEnd {
  /** The process, 0 when that is not known: it may have handed the connection on. */
  readonly pid: number;
  /** The connection's socket, lent as long as the connection lasts, for one who asks the kernel himself; -1: there is none. */
  readonly socket: number;
}

/**
 * What of a device outlives its process: bytes, and descriptors by name. They belong to a session: from the first start of a
 * driver until it resets the device or another driver comes; then the bytes are zero again and the names forgotten, before
 * the device hears of it. A front-end that leaves does not end a session: it may come back.
 *
 * A process may end between any two stores. So a record is written first and what makes it count last, by `Atomics.store`,
 * which the compiler moves nothing across. What the device finds was written by the program before it, of another version
 * perhaps: the device puts a magic number and a version in front, and checks lengths and numbers like any input.
 */
export interface StateMemory {
  /** `VirtioDevice.stateBytes` of them, shared with the store, unable to shrink; not to be touched after `detach`. */
  readonly bytes: Uint8Array;
  /**
   * Keeps an open file under a name of up to 64 characters (A-Z, a-z, 0-9, `.`, `_`, `-`), in the place of one that had the
   * name. The caller's descriptor stays its own.
   * @returns false when the store took it not: full, or gone; the session then ends with this process
   * @throws RangeError for another name
   */
  keep(name: string, fd: Fd): boolean;
  /** Keeps it no more; harmless for a name that is not kept. */
  forget(name: string): void;
  /** A descriptor of its own for what is kept under a name, which it stays; null: nothing is. @throws SysError EMFILE */
  take(name: string): Fd | null;
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
  /** Bytes that `DeviceHost.state` shall have; absent: the device has no state that must outlive its process. */
  readonly stateBytes?: number;
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
   * The session goes on that `host.state` is of: the process was killed, or its front-end came back. Comes behind
   * `setFeatures`, before the first `startQueue`, and not at a pause. Brings the device to where the state says it was: files
   * opened again, kept descriptors taken. Chains that were taken and not completed come once more out of `next()`, first, in
   * their old order, with `again` set: whatever may not be done twice is looked up in the state by queue and head.
   * @returns false when that cannot be: the state is cleared, and the device starts in its initial one
   */
  restore?(): boolean;
  /**
   * This process hands over to another one, all queues are stopped: what is not in `host.state` yet is to be written there.
   * Then comes `detach`, and in the other process `restore`.
   */
  save?(): void;
  /**
   * The VM moves to another host, all queues are stopped: writes to `to` (given away: a pipe or socket, non-blocking) what
   * `loadState` of the same device there needs, closes it, then calls `done`. The device stays as it is: the VM may go on here.
   * `sendState` does that in pieces. Both absent: a front-end refuses to move the VM, if it knows of DEVICE_STATE.
   */
  saveState?(to: Fd, done: (ok: boolean) => void): void;
  /**
   * The VM came here: reads what `saveState` wrote, to its end, closes `from` (given away, non-blocking), then calls `done`. Comes
   * behind `attach` and a `reset`, perhaps before `setFeatures`; `host.state` is zero, and stays with the device from now on. The
   * queues start at their places then. `receiveState` does that in pieces. `false`: the front-end gives the move up.
   */
  loadState?(from: Fd, done: (ok: boolean) => void): void;
  /**
   * The queue runs from now on. `fresh`: a new driver has it (its ring base is 0), and knows of no earlier chain: heads kept
   * of this queue are forgotten. Otherwise the driver that had it before goes on and still waits for what was kept:
   * `queue.takeBack` brings each of those chains back, here, before anything else is taken from the queue.
   */
  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void;
  /**
   * Work may be there: take chains until `next()` gives null or `budget` chains were taken. One with `again` set was taken
   * before by a process or connection that ended: what it asks for may be done already, in part or whole.
   * @returns true when more is left
   */
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
