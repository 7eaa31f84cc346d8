/** What a device sees of a queue, whatever the ring's format. */
import type { VirtqueueError } from './errors.ts';

/**
 * One descriptor chain, taken from a queue and reused by it after `complete`. Readable pieces stand first, then writable
 * ones. A buffer that spans adjacent regions appears as several pieces; an empty buffer as none. A device may keep a
 * chain and complete it later, in any order.
 */
export interface Chain {
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
  /**
   * Copies readable bytes [offset, offset + len) into private memory.
   * @returns bytes copied (fewer at the end), or -EFAULT when the memory is gone
   */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  /**
   * Copies private memory into writable bytes [offset, offset + len).
   * @returns bytes copied (fewer at the end), or -EFAULT when the memory is gone
   */
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
  /**
   * Writes struct iovec entries for readable bytes [offset, offset + len), cut at the end, to `iov` (two u64 an entry, as
   * u32 words). The addresses hold until the memory table changes and what left it is unmapped (`GuestMemory.pin`, `release`).
   * @returns the number of entries, -EFAULT when the memory is gone, or -E2BIG (over `maxEntries`)
   */
  readIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number;
  /** As `readIovec`, for writable bytes. */
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
  /**
   * Returns a chain with `written` bytes in its writable part. Publishes used.idx; calls the driver after the first, every
   * `callBatch`-th, and at `flush`.
   * @throws VirtqueueError ERR_VIRTQ_CHAIN_STATE for a chain that is not in flight here, RangeError for a `written` that
   * exceeds the writable part: bugs of the device
   */
  complete(chain: Chain, written: number): void;
  /**
   * Gives `chain` and every chain taken after it back to the avail ring, so that they are fetched again after the next
   * start. Only when none of those was completed.
   * @returns true when `chain` is back in the ring (also when an earlier call gave it back); false: complete it
   */
  unfetch(chain: Chain): boolean;
  /**
   * Lets go of a chain that is to be completed after a pause: for one that `unfetch` does not take, when the queue stops.
   * Nothing is told to the driver, which goes on waiting for it; the base stays behind it. The chain object is reused.
   * @returns the head: what `takeBack` wants
   * @throws VirtqueueError ERR_VIRTQ_CHAIN_STATE for a chain that is not in flight here: a bug of the device
   */
  keep(chain: Chain): number;
  /**
   * Takes a chain again that was kept of an earlier queue of the same ring and the same driver. Its descriptors are read
   * anew, under all the rules of `next()`: what they say now counts. To be called before the first `next()`, so that the
   * chain counts as in flight when the avail ring is looked at. Such a chain is never given back to the avail ring.
   * @returns null when there is no such chain, and the head is to be forgotten: it is none of this ring, it is in flight, the
   * ring has no chain out that was not taken back, or the driver broke a rule in it (told as in `next()`: to `onError`, and by
   * length 0 where the ring goes on)
   */
  takeBack(head: number): Chain | null;
  /** Calls the driver for completions not yet announced, if it asks for it. Device loops call it at the end of a batch. */
  flush(): void;
  /** True when the avail ring holds something new: for a spin poller. Costs one atomic load. */
  readonly hasWork: boolean;
}

/** Counters since the start of a queue. */
export interface QueueStats {
  /** Chains handed to the device, less those unfetched or kept. */
  chains: number;
  /** Chains that it completed. */
  completed: number;
  /** Times the driver was called. */
  calls: number;
  /** Times it was not, since it asked for none. */
  callsSuppressed: number;
  /** Chains refused by the queue. */
  badChains: number;
  /** Readable bytes of completed chains. */
  bytesRead: number;
  /** Bytes written into completed chains. */
  bytesWritten: number;
}

/** All counters at zero. */
export function newQueueStats(): QueueStats {
  return { chains: 0, completed: 0, calls: 0, callsSuppressed: 0, badChains: 0, bytesRead: 0, bytesWritten: 0 };
}

/** How a split queue is set up. */
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
  /** Told of the ring's error, once, and of each chain that is refused. */
  readonly onError: (error: VirtqueueError) => void;
  /** Longest chain in pieces, after following an indirect table (a guest may put more in one than the ring has entries).
   * Default: the larger of `size` and 1088. */
  readonly maxPieces?: number;
  /** Completions between two calls inside one batch; default 8. */
  readonly callBatch?: number;
}
