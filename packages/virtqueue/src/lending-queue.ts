/**
 * What the device sides of both ring formats have in common: chains lent out of a pool and given back, completions in the
 * driver's order, calls in batches, and a ring that is found again, breaks or stops.
 */
import type { GuestMemory } from '@oriel/guest-memory';
import { CompletionOrder } from './completion-order.ts';
import { VirtqueueError, type VirtqueueErrorCode } from './errors.ts';
import type { ChainLimits, PieceReader } from './piece-reader.ts';
import { CHAIN_FREE, CHAIN_TAKEN, CHAIN_UNFETCHED, chainInFlight, ownChain, PooledChain } from './pooled-chain.ts';
import {
  type Chain,
  type DirtyLog,
  newQueueStats,
  type QueueConfig,
  type QueueState,
  type RingQueue,
} from './queue.ts';
import { queueLimits } from './queue-limits.ts';

/** Bad chains in a row, in one `next()`, after which the driver is held to be hostile: it must not keep us here. */
export const MAX_BAD_CHAINS = 4096;
/** The same for the descriptors in them: one table can have 32768. */
export const MAX_BAD_DESCRIPTORS = 2 ** 20;

/**
 * What is known of a head: with the driver, with the device, kept by the device over a stop, held back for its order, or left
 * in flight by a device before.
 */
export const HEAD_IDLE = 0;
const HEAD_BUSY = 1;
export const HEAD_KEPT = 2;
export const HEAD_HELD = 3;
export const HEAD_LEFT = 4;

/** Place in the order of a chain that was taken back: before all others. */
export const BEFORE_ALL = 0;

// The compiler folds a module's own constants into hot code; imported ones it loads and checks each time.
const FREE = CHAIN_FREE;
const TAKEN = CHAIN_TAKEN;

/** What a ring format brings. */
export interface RingFormat<Ring, Reader> {
  /** Finds a ring in guest memory. @throws VirtqueueError ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY */
  readonly bind: (memory: GuestMemory, config: QueueConfig) => Ring;
  readonly reader: (memory: GuestMemory, limits: ChainLimits) => Reader;
}

/** A `RingQueue` but for the ring. */
export abstract class LendingQueue<Ring, Reader extends PieceReader> implements RingQueue {
  readonly index: number;
  readonly size: number;
  readonly stats = newQueueStats();
  quiet = false;
  batching = true;
  dirty: DirtyLog | null;
  protected ring: Ring;
  protected readonly reader: Reader;
  protected readonly eventIdx: boolean;
  /** One of HEAD_* for each head: a driver that offers one in flight would have two chains of one name. */
  protected readonly heads: Uint8Array;
  /** With IN_ORDER. */
  protected readonly order: CompletionOrder | null;
  /** Chains taken out of the ring, less those unfetched. */
  protected taken = 0;
  /** Of the chains that a device before left in flight: how many nobody took yet. */
  protected left = 0;
  /** Completions since the last decision to call or not. */
  protected unannounced = 0;
  readonly #memory: GuestMemory;
  readonly #config: QueueConfig;
  readonly #bind: (memory: GuestMemory, config: QueueConfig) => Ring;
  readonly #callBatch: number;
  readonly #firstCapacity: number;
  /** Of the memory, when the ring was bound. */
  #generation: number;
  #healthy = true;
  #stopped = false;
  /** Completions since the last flush. */
  #batch = 0;
  #inFlight = 0;
  readonly #free: PooledChain[] = [];
  readonly #chains: PooledChain[] = [];

  /**
   * Finds the ring in memory; writes nothing yet.
   * @param heads - how many different ones there can be
   * @throws VirtqueueError ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY; RangeError for options
   */
  constructor(memory: GuestMemory, config: QueueConfig, format: RingFormat<Ring, Reader>, heads: number) {
    const { index, size, indirect } = config;
    const { maxPieces, callBatch, firstCapacity } = queueLimits(config);
    this.index = index;
    this.size = size;
    this.dirty = config.dirty ?? null;
    this.eventIdx = config.eventIdx;
    this.heads = new Uint8Array(heads);
    this.order = config.inOrder === true ? new CompletionOrder(size) : null;
    this.reader = format.reader(memory, { index, size, indirect, maxPieces });
    this.ring = format.bind(memory, config);
    this.#bind = format.bind;
    this.#memory = memory;
    this.#config = config;
    this.#callBatch = callBatch;
    this.#firstCapacity = firstCapacity;
    this.#generation = memory.generation;
  }

  abstract get base(): number;
  abstract get outstanding(): number;
  abstract get blank(): boolean;
  abstract get state(): QueueState;
  abstract next(): Chain | null;
  abstract takeBack(head: number): Chain | null;
  abstract abandonKept(): void;

  /** True when the driver has put a chain into the ring. */
  protected abstract get available(): boolean;
  /** Writes into the ring that a chain is used, then calls `published`. */
  protected abstract publish(head: number, slots: number, written: number): void;
  /** Calls the driver for what was published since the last time, if it asks for it: `decided` is told. */
  protected abstract announce(): void;
  /** Goes back in the ring by the chain taken last. */
  protected abstract untake(chain: PooledChain): void;
  /** Asks for a kick at the next chain. @returns false when the driver knew already */
  protected abstract enableKicks(): boolean;
  /** Takes back that no kicks are wanted, if the driver was told that and the ring is `usable`. */
  protected abstract leaveKicks(): void;

  get healthy(): boolean {
    return this.#healthy;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get hasWork(): boolean {
    if (!this.#healthy || this.#stopped) return false;
    if (this.left !== 0) return true;
    // After a table change the views may be gone: next() looks, and says so if the ring is.
    return this.#generation !== this.#memory.generation || this.available;
  }

  complete(chain: Chain, written: number): void {
    const own = chainInFlight(this, chain);
    if (!(written >= 0 && written <= own.writeBytes)) {
      throw new RangeError(`${written} bytes written into a chain with room for ${own.writeBytes}`);
    }
    const { head, slots, readBytes } = own;
    if (this.dirty !== null) own.markDirty(this.dirty);
    this.#recycle(own, FREE);
    if (!this.usable()) return;
    this.stats.completed++;
    this.stats.bytesRead += readBytes;
    this.stats.bytesWritten += written;
    this.giveBack(head, slots, written);
  }

  unfetch(chain: Chain): boolean {
    const own = ownChain(this, chain);
    if (own.state !== TAKEN) return own.state === CHAIN_UNFETCHED;
    if (this.#stopped || !this.#healthy || own.sequence === BEFORE_ALL) return false;
    const { sequence } = own;
    const later = this.#chains.filter((c) => c.state === TAKEN && c.sequence >= sequence);
    if (later.length !== this.taken - sequence + 1) return false;
    // Newest first, for the in-flight area: what is in flight is always the oldest part of what was taken.
    later.sort((a, b) => b.sequence - a.sequence);
    for (const c of later) {
      this.untake(c);
      this.#recycle(c, CHAIN_UNFETCHED);
    }
    this.taken -= later.length;
    this.stats.chains -= later.length;
    this.order?.drop(later.length);
    // A place of kicks that was asked for stays: the driver adds behind it, so its next chain still brings a kick.
    return true;
  }

  keep(chain: Chain): number {
    const own = chainInFlight(this, chain);
    const { head } = own;
    this.#recycle(own, FREE);
    this.heads[head] = HEAD_KEPT;
    this.stats.chains--;
    return head;
  }

  flush(): void {
    this.#batch = 0;
    if (this.unannounced !== 0 && this.usable()) this.announce();
  }

  askForKicks(): boolean {
    if (!this.usable()) return false;
    this.enableKicks();
    return this.hasWork;
  }

  rebind(): void {
    try {
      this.ring = this.#bind(this.#memory, this.#config);
      this.#generation = this.#memory.generation;
      this.reader.forget();
    } catch (error) {
      this.#healthy = false;
      throw error;
    }
  }

  stop(): void {
    if (this.#stopped) return;
    this.flush();
    this.leaveKicks();
    this.#stopped = true;
  }

  /** True when the ring may be touched; binds it again after a table change. */
  protected usable(): boolean {
    if (!this.#healthy || this.#stopped) return false;
    if (this.#generation === this.#memory.generation) return true;
    try {
      this.rebind();
      return true;
    } catch (error) {
      if (!(error instanceof VirtqueueError)) throw error;
      this.#config.onError(error);
      return false;
    }
  }

  /** Chains that are complete, and wait for those before them. */
  protected get held(): number {
    return this.order === null ? 0 : this.order.held;
  }

  /** A chain to read into: to be lent, or to go with `fail`. */
  protected emptyChain(): PooledChain {
    return this.#free.pop() ?? this.#newChain();
  }

  /** A chain just read goes to the device. */
  protected lend(chain: PooledChain): void {
    const { head, slots } = chain;
    chain.state = TAKEN;
    this.heads[head] = HEAD_BUSY;
    this.#inFlight++;
    this.stats.chains++;
    if (this.order !== null && !this.order.has(head)) this.order.add(head, slots);
  }

  /** A chain just lent, with a buffer outside guest memory: the device does not get it. */
  protected refuse(chain: PooledChain): null {
    const { head, slots } = chain;
    const { error } = this.reader;
    this.stats.chains--;
    this.stats.badChains++;
    this.#recycle(chain, FREE);
    this.giveBack(head, slots, 0);
    this.#config.onError(error!);
    return null;
  }

  /** Gives a chain to the driver; where order counts, it and those behind it, unless one before it is not complete. */
  protected giveBack(head: number, slots: number, written: number): void {
    const { order } = this;
    if (order === null) {
      this.publish(head, slots, written);
      return;
    }
    order.settle(head, written);
    this.heads[head] = HEAD_HELD;
    while (order.ready) {
      const { head: first, slots: count, written: len } = order;
      order.shift();
      this.heads[first] = HEAD_IDLE;
      this.publish(first, count, len);
    }
  }

  /** A chain was published: calls the driver when it is time. */
  protected published(): void {
    this.unannounced++;
    this.#batch++;
    if (this.#batch === 1 || this.unannounced >= this.#callBatch || !this.batching) this.announce();
  }

  /** Calls the driver, or counts that it wanted no call. */
  protected decided(wanted: boolean): void {
    if (wanted) {
      this.stats.calls++;
      this.#config.call();
    } else {
      this.stats.callsSuppressed++;
    }
  }

  /** The driver broke a rule of the ring. */
  protected break(code: VirtqueueErrorCode, detail: string, chain?: PooledChain): null {
    const { index } = this;
    return this.fail(new VirtqueueError(code, 'driver', `queue ${index}: ${detail}`, { queue: index }), chain);
  }

  /** The queue is broken. @param chain - was read into, and is not lent */
  protected fail(error: VirtqueueError, chain?: PooledChain): null {
    if (chain !== undefined) this.#free.push(chain);
    this.#healthy = false;
    this.#config.onError(error);
    return null;
  }

  #newChain(): PooledChain {
    const chain = new PooledChain(this, this.#firstCapacity);
    this.#chains.push(chain);
    return chain;
  }

  #recycle(chain: PooledChain, state: number): void {
    chain.state = state;
    chain.context = undefined;
    this.heads[chain.head] = HEAD_IDLE;
    this.#inFlight--;
    this.#free.push(chain);
  }
}
