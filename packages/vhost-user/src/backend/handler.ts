/** What a back-end has to answer: the floor above implements it, the connection calls it. */
import type { RegionFile } from '@oriel/guest-memory';
import type { Fd } from '@oriel/sys';
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
  /** Kick eventfd, non-blocking, or -1: the ring is to be polled. */
  readonly kickFd: number;
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
