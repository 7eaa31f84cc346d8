/** What a device sees of a queue, whatever the ring's format. */
import type { VirtqueueError } from './errors.ts';

/**
 * One descriptor chain, taken from a queue and reused by it after `complete`. Readable pieces stand first, then writable
 * ones. A buffer that spans adjacent regions appears as several pieces; an empty buffer as none. A device may keep a
 * chain and complete it later, in any order.
 */
export interface Chain {
  /** Split ring: index of the chain's first descriptor; packed ring: its buffer id. A chain's name while it is in flight. */
  readonly head: number;
  /** Pieces: [0, readCount) readable, [readCount, readCount + writeCount) writable. */
  readonly readCount: number;
  readonly writeCount: number;
  /** Bytes in the readable and the writable part. */
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly queue: DeviceQueue;
  /**
   * True for a chain that was in flight when the device was last killed (`QueueConfig.inflight`): it may have been carried
   * out already, wholly or in part, but the driver was not told.
   */
  readonly again: boolean;
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

/** A queue as a device sees it; the same for split and packed rings. */
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
   * With an in-flight area, what an earlier device left there comes first, whether the driver kicks or not: look once at the start.
   */
  next(): Chain | null;
  /**
   * Returns a chain with `written` bytes in its writable part. Publishes it at once, or, with IN_ORDER, once all chains before
   * it are complete; calls the driver after the first, every `callBatch`-th, and at `flush`.
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
   * Takes a chain again that was kept of an earlier queue of the same ring and the same driver. A split ring's descriptors are
   * read anew, under all the rules of `next()`: what they say now counts. Those of a packed ring may be overwritten by then:
   * its buffers come from the state of the earlier queue, and are looked up anew. To be called before the first `next()`, so that the
   * chain counts as in flight when the avail ring is looked at. Such a chain is never given back to the avail ring. With an
   * in-flight area it is taken out of what `next()` would give with `again`.
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

/** What the host of a queue has of it, beside what its device sees; the same for split and packed rings. */
export interface RingQueue extends DeviceQueue {
  /**
   * While true, `next()` asks for no kick when the ring is empty. For one who looks again by himself, and calls
   * `askForKicks` before he sleeps.
   */
  quiet: boolean;
  /** While false, the driver is called for each completion: for one that comes when no `flush` will follow. */
  batching: boolean;
  /** Where it logs its writes; null: nowhere. May be changed at any time, as a migration begins and ends while rings run. */
  dirty: DirtyLog | null;
  /** The value for GET_VRING_BASE. */
  readonly base: number;
  /**
   * What the driver waits for: taken, and not given back to it; chains of a split ring, descriptors of a packed one. At the
   * start, those of earlier queues of the ring.
   */
  readonly outstanding: number;
  /**
   * True when the ring shows that no driver has ever been once around it: after a lap was done, that says that a new driver
   * has it. A split ring never shows it.
   */
  readonly blank: boolean;
  /** What the next queue of this ring and this driver is to be given, after the device gave up its chains. Plain data. */
  readonly state: QueueState;
  /** Asks for a kick at the next chain. @returns true when a chain is there already */
  askForKicks(): boolean;
  /** Returns with length 0 what was kept: for a device that forgot it while the driver that waits for it stays. */
  abandonKept(): void;
  /**
   * Finds the ring again after a memory-table change (also done when `memory.generation` moved).
   * @throws VirtqueueError ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY when the ring is no longer in direct memory; the queue is
   * then broken
   */
  rebind(): void;
  /**
   * Announces what was completed, then lets go of guest memory: complete() of a late chain only recycles it, next() gives
   * null.
   */
  stop(): void;
}

/** One buffer of a kept chain. */
export interface KeptBuffer {
  readonly gpa: number;
  readonly len: number;
  readonly writable: boolean;
}

/** A chain that a stopped queue left with its device. */
export interface KeptChain {
  readonly head: number;
  /** Bytes written, of a chain that the device completed and that waits for those before it (IN_ORDER); -1: not completed. */
  readonly written: number;
  /** Descriptors of the ring that it takes. */
  readonly slots: number;
  /** Its buffers, readable ones first; empty where the descriptor table still says it. */
  readonly buffers: readonly KeptBuffer[];
}

/** What outlives a queue. */
export interface QueueState {
  /** As `RingQueue.base`. */
  readonly base: number;
  /** In the order in which they were taken. What an in-flight area holds and nobody took stays there, and may be left out. */
  readonly kept: readonly KeptChain[];
}

/** Told of what a queue and its device may have written, for live migration: of a chain when it is completed. */
export interface DirtyLog {
  /** Bytes of a buffer, by guest physical address. */
  mark(gpa: number, len: number): void;
  /**
   * Bytes of the ring itself, by guest physical address: of a split ring's used part, of a packed one's descriptors and
   * device area. A log drops them for a ring without VHOST_VRING_F_LOG. (By address and not by offset from the ring's
   * log address: for a packed ring QEMU gives that of the device area there, which the descriptors are not in.)
   */
  markRingAt(gpa: number, len: number): void;
}

/** How a queue is set up. */
export interface QueueConfig {
  readonly index: number;
  /** Split: power of two, 1..32768; packed: 1..32768. */
  readonly size: number;
  /**
   * Ring addresses as the front-end gave them (user addresses), looked up through `memory.findUser`, or GPAs. Of a packed
   * ring: the descriptor ring, the driver area and the device area.
   */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly addressSpace: 'user' | 'gpa';
  /**
   * Where to go on (SET_VRING_BASE). Split: next avail index. Packed: bits 0..14 next descriptor to take, 15 its wrap
   * counter, 16..30 next one to use, 31 its wrap counter; `PACKED_RING_START` for a new ring.
   */
  readonly base: number;
  readonly eventIdx: boolean;
  readonly indirect: boolean;
  /** VIRTIO_F_IN_ORDER was accepted; default false. */
  readonly inOrder?: boolean;
  /** `state.kept` of the queue that had this ring before. Split rings need it with IN_ORDER only. */
  readonly kept?: readonly KeptChain[];
  /** Called to notify the driver (writes the call eventfd). */
  readonly call: () => void;
  /** Told of the ring's error, once, and of each chain that is refused. */
  readonly onError: (error: VirtqueueError) => void;
  /**
   * The queue's area of the in-flight region (INFLIGHT_SHMFD), `inflightBytes` long or longer and aligned to 8: memory that
   * cannot shrink, lent until `stop()`. All zero, it is a new one. Otherwise the queue recovers: it goes on where the area
   * says, whatever `base` says, and the chains that were in flight come first out of `next()`, oldest first, with
   * `Chain.again`; those that the device kept (`keep`, `takeBack`) do not. Null is as absent: a killed device loses what
   * was in flight.
   */
  readonly inflight?: Uint8Array | null;
  /** Where it logs its writes at first: see `RingQueue.dirty`. Absent or null: nowhere. */
  readonly dirty?: DirtyLog | null;
  /** Longest chain in pieces, after following an indirect table (a guest may put more in one than the ring has entries).
   * Default: the larger of `size` and 1088. */
  readonly maxPieces?: number;
  /** Completions between two calls inside one batch; default 8. */
  readonly callBatch?: number;
}

/** How a split queue is set up. */
export type SplitQueueConfig = QueueConfig;

/** How a packed queue is set up. */
export type PackedQueueConfig = QueueConfig;
