/**
 * CONTRACT (lead): what virtqueue offers. The helper turns each `declare` into a real export in files of their own and
 * deletes this file; names and meaning stay.
 */
import type { Address } from '@oriel/sys';
import type { GuestMemory, MemoryRegion } from '@oriel/guest-memory';

/**
 * One descriptor chain, taken from a queue and reused by it after `complete`. Readable pieces stand first, then writable
 * ones. A buffer that spans adjacent regions appears as several pieces. A device may keep a chain and complete it later,
 * in any order.
 */
export declare class Chain {
  /** Index of the chain's first descriptor. */
  readonly head: number;
  /** Pieces: [0, readCount) readable, [readCount, readCount + writeCount) writable. */
  readonly readCount: number;
  readonly writeCount: number;
  /** Bytes in the readable and the writable part. */
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly queue: DeviceQueue;
  /** For the device's use (a request object); cleared by complete. */
  context: unknown;
  /** Copies readable bytes [offset, offset+len) into private memory. @returns bytes copied (fewer at the end) or -EFAULT */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  /** Copies private memory into writable bytes [offset, ...). @returns bytes copied or -EFAULT */
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
  /** Writes struct iovec entries for readable bytes [offset, offset+len) to `iov` (two u64 an entry, as u32 words).
   * @returns the number of entries, or -EFAULT / -E2BIG (over `maxEntries`) */
  readIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number;
  writeIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number;
}

/** A queue as a device sees it; split now, packed later, same interface. */
export interface DeviceQueue {
  readonly index: number;
  /** Entries in the ring. */
  readonly size: number;
  /** False after a ring error: nothing more is taken; the reason went to `onError`. */
  readonly healthy: boolean;
  readonly stats: QueueStats;
  /** Chains taken and not yet completed. */
  readonly inFlight: number;
  /**
   * Takes the next available chain, or null when the ring is empty (kicks are then enabled again and the ring was looked
   * at once more). A chain that breaks the rules of the ring marks the queue broken (null, `onError` called); a chain
   * whose buffers lie outside guest memory is completed with length 0 by the queue itself, counted, reported to `onError`.
   */
  next(): Chain | null;
  /** Returns a chain with `written` bytes in its writable part. Publishes used.idx; calls the driver after the first, every
   * `callBatch`-th, and at `flush`. */
  complete(chain: Chain, written: number): void;
  /** Gives the latest taken chains back to the avail ring, so that they are fetched again after the next start. Only chains
   * that are the last ones taken, none of them completed. @returns how many (0 when `chain` is not in such a suffix) */
  unfetch(chain: Chain): boolean;
  /** Calls the driver for completions not yet announced, if it asks for it. Device loops call it at the end of a batch. */
  flush(): void;
  /** True when the avail ring holds something new: for a spin poller. Costs one atomic load. */
  readonly hasWork: boolean;
}

export interface QueueStats {
  chains: number;
  completed: number;
  calls: number;
  callsSuppressed: number;
  badChains: number;
  bytesRead: number;
  bytesWritten: number;
}

export interface SplitQueueConfig {
  readonly index: number;
  /** Power of two, 1..32768. */
  readonly size: number;
  /** Ring addresses as the front-end gave them (user addresses), looked up through `memory.findUser`, or GPAs. */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly addressSpace: 'user' | 'gpa';
  /** Next avail index to take (SET_VRING_BASE). */
  readonly base: number;
  readonly eventIdx: boolean;
  readonly indirect: boolean;
  /** Called to notify the driver (writes the call eventfd). */
  readonly call: () => void;
  readonly onError: (error: VirtqueueError) => void;
  /** Longest chain in pieces, after following an indirect table; default 1024 + 64 (a guest may use more than the ring's size in an indirect table: bound is at least max(size, 1026)). */
  readonly maxPieces?: number;
  /** Completions between two calls inside one batch; default 8. */
  readonly callBatch?: number;
}

/** The split ring, device side (VIRTIO 1.3, 2.7). Rings must lie in direct regions: `VirtqueueError` ERR_VIRTQ_MEMORY otherwise. */
export declare class SplitQueue implements DeviceQueue {
  constructor(memory: GuestMemory, config: SplitQueueConfig);
  readonly index: number;
  readonly size: number;
  readonly healthy: boolean;
  readonly stats: QueueStats;
  readonly inFlight: number;
  readonly hasWork: boolean;
  /** The value for GET_VRING_BASE: next avail index. */
  readonly base: number;
  next(): Chain | null;
  complete(chain: Chain, written: number): void;
  unfetch(chain: Chain): boolean;
  flush(): void;
  /** Re-resolves ring addresses after a memory-table change (also done by itself when `memory.generation` moved).
   * @throws VirtqueueError ERR_VIRTQ_ADDRESS when a ring is no longer mapped */
  rebind(): void;
  /** No touch of guest memory afterwards: complete() of a late chain only recycles it. */
  stop(): void;
}

export declare class VirtqueueError extends Error {
  readonly code: string; // closed union in the real file
  readonly blame: 'driver' | 'frontend' | 'host' | 'bug';
}

/** One buffer of a chain, driver side. */
export interface DriverBuffer {
  readonly gpa: number;
  readonly len: number;
  readonly writable: boolean;
}

/**
 * The split ring, driver side: builds chains (direct or indirect), kicks, reads used entries, in EVENT_IDX or flag mode.
 * Memory is the driver's own (a shared memfd mapped in this process).
 */
export declare class SplitDriver {
  constructor(config: {
    readonly memory: Uint8Array; // the driver's view over guest RAM; gpa `memoryGpa` is its first byte
    readonly memoryGpa: number;
    readonly size: number;
    /** GPA of each part; `layoutSplitRing` computes them. */
    readonly desc: number;
    readonly avail: number;
    readonly used: number;
    readonly eventIdx: boolean;
    /** GPA of a table area for indirect chains (size * maxIndirect * 16 bytes), or -1: no indirect. */
    readonly indirectTables: number;
    readonly maxIndirect: number;
    readonly kick: () => void;
  });
  /** Puts a chain into the ring without publishing. @returns its head, or -1 when there is no room */
  add(buffers: readonly DriverBuffer[], count?: number): number;
  /** Publishes what was added and kicks if the device asks for it. */
  publish(): void;
  /** Takes a used entry: head and len in fields. @returns false when there is none */
  takeUsed(): boolean;
  readonly usedHead: number;
  readonly usedLen: number;
  /** Asks for a call for the next used entry (EVENT_IDX: used_event = last seen). @returns true when some came meanwhile */
  enableCalls(): boolean;
  disableCalls(): void;
  readonly freeDescriptors: number;
}

/** Sizes and offsets of a split ring's parts for `size` entries, aligned as VIRTIO 1.3 2.7 asks: {desc, avail, used, total}. */
export declare function layoutSplitRing(size: number): { desc: number; avail: number; used: number; total: number };

export type { Address, MemoryRegion };
