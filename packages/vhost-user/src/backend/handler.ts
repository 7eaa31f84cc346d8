/** What a back-end has to answer: the floor above implements it, the connection calls it. */
import type { RegionFile } from '@oriel/guest-memory';
import type { Fd } from '@oriel/sys';
import type { DirtyLog } from '@oriel/virtqueue';
import type { FeatureSet } from '../features.ts';

/** A ring whose set-up is complete, handed over at its start. The queue's owner may read the fds; they stay the connection's. */
export interface RingSetup {
  readonly index: number;
  /** Entries. */
  readonly size: number;
  /** User addresses: they lie in `memory` (findUser). */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  /**
   * Next avail index. For a packed ring (VIRTIO_F_RING_PACKED was accepted): bits 0..14 the next descriptor to take, 15 its
   * wrap counter, 16..30 the next one to use, 31 its wrap counter; within the ring, at most a lap apart.
   */
  readonly base: number;
  /** Kick eventfd, non-blocking, or -1: the ring is to be polled, or, where in-band notifications were accepted, `kicked` tells. */
  readonly kickFd: number;
  /**
   * The ring's area in the in-flight memory that the front-end set (SET_INFLIGHT_FD), `inflightBytes` of virtqueue long; null:
   * there is none. Shared memory that cannot shrink, lent until `stopRing` returns. All zero: a new one.
   */
  readonly inflight: Uint8Array | null;
  /** Where writes to guest memory are logged, buffers and the ring's used part; null while logging is off. Lent until `stopRing` or `logRing`. */
  readonly dirty: DirtyLog | null;
}

/** A page that a driver may write instead of kicking: part of a file. */
export interface NotifierPage {
  /** Lent until the request is done. */
  readonly fd: number;
  /** Bytes, multiples of the page size. */
  readonly size: number;
  readonly offset: number;
}

/** What the floor above answers to a front-end. All calls are synchronous; a thrown error becomes a failing ack and a log line. */
export interface BackendHandler {
  /** Device features offered, VERSION_1 and ring features included, without bit 30. */
  readonly features: FeatureSet;
  readonly queueCount: number;
  /** Entries of the largest ring accepted. */
  readonly maxQueueSize: number;
  /** Bytes of device configuration space; 0: CONFIG is not offered. */
  readonly configSize: number;
  /** Sizes by shmid; empty: SHMEM is not offered. */
  readonly shmRegions: readonly { readonly shmid: number; readonly size: number }[];
  /**
   * Its queues record what is in flight in `RingSetup.inflight`: INFLIGHT_SHMFD is offered, and GET_VRING_BASE_INFLIGHT, since
   * what is still in flight at `stopRing` stands in the area.
   */
  readonly inflight?: boolean;
  /** Its queues log what they write in `RingSetup.dirty`: VHOST_F_LOG_ALL and LOG_SHMFD are offered. */
  readonly dirtyLog?: boolean;
  /** It has doorbells of its own, see `BackendConnection.setHostNotifier`: HOST_NOTIFIER is offered. */
  readonly hostNotifier?: boolean;
  /** It takes kicks by `kicked`, and calls by `BackendConnection.sendCall` where it has no call eventfd: INBAND_NOTIFICATIONS is offered. */
  readonly inband?: boolean;
  /** Copies config [offset, offset+into.length); the range was checked against configSize. */
  readConfig(offset: number, into: Uint8Array): void;
  /** The driver wrote config [offset, offset+from.length); the range was checked. `from` is lent. @throws to refuse */
  writeConfig(offset: number, from: Uint8Array): void;
  /** SET_FEATURES: accepted bits, a subset of what was offered (bit 30 removed). */
  setFeatures(features: FeatureSet): void;
  /**
   * Asked of each region of a memory table: false where its memory is not needed, so that its descriptor is closed and no
   * more than its place is remembered. Absent: all are needed.
   */
  needsMemory?(file: RegionFile): boolean;
  /** The memory table changed (already in effect in `memory`). */
  memoryChanged(): void;
  /**
   * Regions left the memory table: call `unmap` when no system call of another thread uses their addresses any more. Absent:
   * they are unmapped at once.
   */
  releaseMemory?(unmap: () => void): void;
  /** The ring is started and enabled: build the queue and look at it once. @throws to refuse */
  startRing(ring: RingSetup): void;
  /** The ring must not be touched any more. @returns the base for GET_VRING_BASE */
  stopRing(index: number): number;
  /**
   * The front-end wants every request of the ring completed before it stops (GET_VRING_BASE, unless GET_VRING_BASE_INFLIGHT
   * lets them stay in the in-flight area). Take no more chains, call `done` when none is out; `stopRing` follows at once.
   * The main channel waits. Absent: `stopRing` comes at once, and GET_VRING_BASE_SKIP_DRAIN is not offered.
   */
  drainRing?(index: number, done: () => void): void;
  /** VRING_KICK: the driver notifies a running ring. */
  kicked?(index: number): void;
  /**
   * Dirty logging was switched on or off while rings run: `BackendConnection.dirtyLog` is what counts from now on. Running
   * rings hear of it by `logRing`.
   */
  logChanged?(): void;
  /**
   * The queue of a running ring logs its writes here from now on (null: nowhere), see `RingQueue.dirty` of virtqueue. Absent:
   * the ring is stopped and started again at its place, with the new `RingSetup.dirty`.
   */
  logRing?(index: number, dirty: DirtyLog | null): void;
  /**
   * SET_DEVICE_STATE_FD, save: write the whole device state to `to` (given away: a pipe or socket, non-blocking) and close it,
   * then call `done`. Rings are stopped. DEVICE_STATE is offered when this and `loadState` are there.
   */
  saveState?(to: Fd, done: (ok: boolean) => void): void;
  /** SET_DEVICE_STATE_FD, load: read the state from `from` (given away, non-blocking) to its end, then call `done`. */
  loadState?(from: Fd, done: (ok: boolean) => void): void;
  /**
   * GET_SHARED_OBJECT: the descriptor of an object that this device added, given away, or null. Absent: SHARED_OBJECT is not
   * offered. @param uuid - 16 bytes, RFC 4122 order; lent
   */
  sharedObject?(uuid: Uint8Array): Fd | null;
  /** The call eventfd of a ring changed (-1: none); may come at any time, also for rings never started. */
  setCall(index: number, fd: number): void;
  /** First ring started / last ring stopped. Between them back-channel requests may be sent. Called before startRing / after stopRing. */
  resumed(): void;
  suspended(): void;
  /** RESET_DEVICE, or SET_STATUS 0 where it is a reset. Rings are stopped already. */
  reset(): void;
  /** GPU_SET_SOCKET: a connected socket, given away. Absent: the message is refused. */
  setGpuSocket?(socket: Fd): void;
  /** The connection ended (reason for the log). Rings were stopped; the memory is about to be cleared. */
  disconnected(reason: string): void;
}
