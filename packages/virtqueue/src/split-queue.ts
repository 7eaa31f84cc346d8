/** The split ring, device side. */
import type { GuestMemory } from '@oriel/guest-memory';
import { ChainReader } from './chain-reader.ts';
import { CompletionOrder } from './completion-order.ts';
import { VirtqueueError } from './errors.ts';
import { VRING_AVAIL_F_NO_INTERRUPT, VRING_USED_F_NO_NOTIFY } from './layout.ts';
import { CHAIN_BROKEN, CHAIN_OK } from './piece-reader.ts';
import { CHAIN_FREE, CHAIN_TAKEN, CHAIN_UNFETCHED, chainInFlight, ownChain, PooledChain } from './pooled-chain.ts';
import {
  type Chain,
  type DirtyLog,
  type KeptChain,
  newQueueStats,
  type QueueState,
  type QueueStats,
  type RingQueue,
  type SplitQueueConfig,
} from './queue.ts';
import { queueLimits } from './queue-limits.ts';
import { isRingSize } from './ring-size.ts';
import { SplitInflight } from './split-inflight.ts';
import {
  AVAIL_HEADS,
  availEventAt,
  bindSplitRing,
  RING_FLAGS,
  RING_IDX,
  type SplitRing,
  usedEventAt,
} from './split-ring.ts';

/** Bad chains in a row, in one `next()`, after which the driver is held to be hostile: it must not keep us here. */
const MAX_BAD_CHAINS = 4096;
/** The same for the descriptors in them: one table can have 32768. */
const MAX_BAD_DESCRIPTORS = 2 ** 20;

// The compiler folds a module's own constants into hot code; imported ones it loads and checks each time.
const OK = CHAIN_OK;
const BROKEN = CHAIN_BROKEN;
const FREE = CHAIN_FREE;
const TAKEN = CHAIN_TAKEN;
const IDX = RING_IDX;
const FLAGS = RING_FLAGS;
const HEADS = AVAIL_HEADS;

/** Whether the driver was told to kick; before the first empty ring it is not known. */
const KICKS_UNKNOWN = 0;
const KICKS_ON = 1;
const KICKS_OFF = 2;

/**
 * What is known of a head: with the driver, with the device, kept by the device over a stop, held back for its order, or left
 * in flight by a device before.
 */
const HEAD_IDLE = 0;
const HEAD_BUSY = 1;
const HEAD_KEPT = 2;
const HEAD_HELD = 3;
const HEAD_LEFT = 4;

/** Bytes of a used element, and of what stands before them. */
const USED_ELEM_BYTES = 8;
const USED_HEADER_BYTES = 4;

/** Place in the order of a chain that was taken back: before all others. */
const BEFORE_ALL = 0;

/** The split ring, device side (VIRTIO 1.3, 2.7): a `DeviceQueue` over rings in direct regions of guest memory. */
export class SplitQueue implements RingQueue {
  readonly index: number;
  readonly size: number;
  readonly stats: QueueStats = newQueueStats();
  quiet = false;
  batching = true;
  dirty: DirtyLog | null;
  readonly #memory: GuestMemory;
  readonly #config: SplitQueueConfig;
  readonly #reader: ChainReader;
  readonly #mask: number;
  readonly #eventIdx: boolean;
  readonly #callBatch: number;
  readonly #firstCapacity: number;
  readonly #usedEventAt: number;
  readonly #availEventAt: number;
  #ring: SplitRing;
  /** Of the memory, when the ring was bound. */
  #generation: number;
  #healthy = true;
  #stopped = false;
  /** Shadows of the ring's indexes; those in guest memory belong to the driver. */
  #nextAvail: number;
  #availIdx: number;
  #usedIdx: number;
  /** What avail_event holds, or -1. */
  #availEvent = -1;
  #kicks = KICKS_UNKNOWN;
  /** used.idx at the last decision to call or not; -1 before the first, which calls. */
  #announced = -1;
  /** Completions since that decision, and since the last flush. */
  #unannounced = 0;
  #batch = 0;
  #inFlight = 0;
  #taken = 0;
  /** One of HEAD_* for each head: a driver that offers one in flight would have two chains over one buffer. */
  readonly #busy: Uint8Array;
  readonly #free: PooledChain[] = [];
  readonly #chains: PooledChain[] = [];
  /** With IN_ORDER; and how many completed chains wait in it. */
  readonly #order: CompletionOrder | null;
  #held = 0;
  readonly #inflight: SplitInflight | null;
  /** Of those that it found in flight: how many nobody took yet, and where the next one is looked for. */
  #left = 0;
  #leftAt = 0;

  /**
   * Finds the ring in memory; writes nothing yet.
   * @throws VirtqueueError ERR_VIRTQ_SIZE, ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY; RangeError for options
   */
  constructor(memory: GuestMemory, config: SplitQueueConfig) {
    const { index, size, base } = config;
    if (!isRingSize(size)) {
      throw new VirtqueueError('ERR_VIRTQ_SIZE', 'frontend', `ring size ${size}, want a power of two to 32768`, {
        queue: index,
      });
    }
    if (!Number.isInteger(base) || base < 0 || base > 0xffff) {
      throw new VirtqueueError('ERR_VIRTQ_SIZE', 'frontend', `ring base ${base}, want 0 to 65535`, { queue: index });
    }
    const { inflight = null, kept = [] } = config;
    const { maxPieces, callBatch, firstCapacity } = queueLimits(config);
    this.index = index;
    this.size = size;
    this.#memory = memory;
    this.#config = config;
    this.#mask = size - 1;
    this.#eventIdx = config.eventIdx;
    this.#callBatch = callBatch;
    this.#firstCapacity = firstCapacity;
    this.#reader = new ChainReader(memory, { index, size, indirect: config.indirect, maxPieces });
    this.#usedEventAt = usedEventAt(size);
    this.#availEventAt = availEventAt(size);
    this.#busy = new Uint8Array(size);
    this.#ring = bindSplitRing(memory, config);
    this.#generation = memory.generation;
    this.#nextAvail = base;
    this.#usedIdx = Atomics.load(this.#ring.used, IDX);
    this.dirty = config.dirty ?? null;
    this.#order = config.inOrder === true ? new CompletionOrder(size) : null;
    this.#inflight =
      inflight === null ? null : new SplitInflight(inflight, config, this.#usedIdx, this.outstanding, kept);
    if (this.#inflight !== null) this.#recover(this.#inflight, kept);
    else if (this.#order !== null) this.#rememberOrder(this.#order, kept);
    this.#availIdx = this.#nextAvail;
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Next avail index. */
  get base(): number {
    return this.#nextAvail;
  }

  get outstanding(): number {
    return (this.#nextAvail - this.#usedIdx) & 0xffff;
  }

  get blank(): boolean {
    return false;
  }

  get state(): QueueState {
    const { base } = this;
    if (this.#order !== null) return { base, kept: this.#order.list(() => []) };
    const heads = [...this.#busy.keys()].filter((head) => this.#busy[head] === HEAD_KEPT);
    return { base, kept: heads.map((head) => ({ head, written: -1, slots: 1, buffers: [] })) };
  }

  get hasWork(): boolean {
    if (!this.#healthy || this.#stopped) return false;
    if (this.#left !== 0) return true;
    // After a table change the views may be gone: next() looks, and says so if the ring is.
    if (this.#generation !== this.#memory.generation) return true;
    return Atomics.load(this.#ring.avail, IDX) !== this.#nextAvail;
  }

  next(): Chain | null {
    if (!this.#usable()) return null;
    const ring = this.#ring;
    for (let bad = 0, descriptors = 0; bad < MAX_BAD_CHAINS && descriptors < MAX_BAD_DESCRIPTORS; bad++) {
      const again = this.#left !== 0;
      let head: number;
      if (again) {
        head = this.#nextLeft();
      } else {
        if (this.#nextAvail === this.#availIdx && !this.#refill()) return null;
        head = ring.avail[HEADS + (this.#nextAvail & this.#mask)]!;
        if (head >= this.size) return this.#break('ERR_VIRTQ_HEAD', `head ${head} in a ring of ${this.size} entries`);
        if (this.#busy[head] !== HEAD_IDLE) return this.#break('ERR_VIRTQ_HEAD', `head ${head} is in flight`);
      }
      const chain = this.#free.pop() ?? this.#newChain();
      const verdict = this.#reader.read(ring.desc, head, chain);
      if (verdict === BROKEN) {
        this.#free.push(chain);
        return this.#fail(this.#reader.error!);
      }
      if (again) {
        this.#left--;
        chain.sequence = BEFORE_ALL;
      } else {
        this.#nextAvail = (this.#nextAvail + 1) & 0xffff;
        chain.sequence = ++this.#taken;
        if (this.#inflight !== null) this.#inflight.take(head);
      }
      chain.again = again;
      this.#lend(chain);
      if (verdict === OK) return chain;
      descriptors += this.#reader.visited;
      this.#refuse(chain);
      if (!this.#usable()) return null;
    }
    return this.#break('ERR_VIRTQ_BUFFER', 'nothing but bad chains: over 4096 of them, or 2^20 descriptors');
  }

  complete(chain: Chain, written: number): void {
    const own = chainInFlight(this, chain);
    if (!(written >= 0 && written <= own.writeBytes)) {
      throw new RangeError(`${written} bytes written into a chain with room for ${own.writeBytes}`);
    }
    const { head, readBytes } = own;
    if (this.dirty !== null) own.markDirty(this.dirty);
    this.#recycle(own, FREE);
    if (!this.#usable()) return;
    this.stats.completed++;
    this.stats.bytesRead += readBytes;
    this.stats.bytesWritten += written;
    this.#giveBack(head, written);
  }

  unfetch(chain: Chain): boolean {
    const own = ownChain(this, chain);
    if (own.state !== TAKEN) return own.state === CHAIN_UNFETCHED;
    if (this.#stopped || !this.#healthy || own.sequence === BEFORE_ALL) return false;
    const { sequence } = own;
    const later = this.#chains.filter((c) => c.state === TAKEN && c.sequence >= sequence);
    if (later.length !== this.#taken - sequence + 1) return false;
    if (this.#inflight !== null) {
      // Newest first: what is in flight is always the oldest part of what was taken.
      later.sort((a, b) => b.sequence - a.sequence);
      for (const c of later) this.#inflight.untake(c.head);
    }
    for (const c of later) this.#recycle(c, CHAIN_UNFETCHED);
    this.#taken -= later.length;
    this.#nextAvail = (this.#nextAvail - later.length) & 0xffff;
    this.stats.chains -= later.length;
    this.#order?.drop(later.length);
    // avail_event stays: the driver adds behind it, so its next chain still brings a kick.
    return true;
  }

  keep(chain: Chain): number {
    const own = chainInFlight(this, chain);
    const { head } = own;
    this.#recycle(own, FREE);
    this.#busy[head] = HEAD_KEPT;
    this.stats.chains--;
    return head;
  }

  takeBack(head: number): Chain | null {
    if (!this.#isOut(head) || !this.#usable()) return null;
    const chain = this.#free.pop() ?? this.#newChain();
    const verdict = this.#reader.read(this.#ring.desc, head, chain);
    if (verdict === BROKEN) {
      this.#free.push(chain);
      return this.#fail(this.#reader.error!);
    }
    if (this.#inflight !== null) this.#left--;
    chain.sequence = BEFORE_ALL;
    chain.again = false;
    this.#lend(chain);
    if (verdict === OK) return chain;
    this.#refuse(chain);
    return null;
  }

  abandonKept(): void {
    for (let head = 0; head < this.size; head++) {
      if (this.#busy[head] !== HEAD_KEPT) continue;
      this.#busy[head] = HEAD_IDLE;
      if (this.#usable()) this.#giveBack(head, 0);
    }
  }

  flush(): void {
    this.#batch = 0;
    if (this.#unannounced !== 0 && this.#usable()) this.#announce();
  }

  askForKicks(): boolean {
    if (!this.#usable()) return false;
    this.#enableKicks();
    return this.hasWork;
  }

  rebind(): void {
    try {
      this.#ring = bindSplitRing(this.#memory, this.#config);
      this.#generation = this.#memory.generation;
      this.#reader.forget();
    } catch (error) {
      this.#healthy = false;
      throw error;
    }
  }

  stop(): void {
    if (this.#stopped) return;
    this.flush();
    if (this.#kicks === KICKS_OFF && this.#usable()) this.#storeFlags(0);
    this.#stopped = true;
  }

  /** True when the driver waits for this head, and no chain was made of it yet. */
  #isOut(head: number): boolean {
    if (this.#inflight !== null) return this.#busy[head] === HEAD_LEFT;
    // What is no index of the ring is not idle either.
    return this.#busy[head] === HEAD_IDLE && this.outstanding > this.#inFlight + this.#held;
  }

  /** The oldest head that the device before left in flight; there is one. */
  #nextLeft(): number {
    const { heads } = this.#inflight!;
    while (this.#busy[heads[this.#leftAt]!] !== HEAD_LEFT) this.#leftAt++;
    return heads[this.#leftAt]!;
  }

  /** True when the ring may be touched; binds it again after a table change. */
  #usable(): boolean {
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

  /**
   * Looks at avail.idx; when nothing is there, calls the driver for what is done, asks for a kick and looks again.
   * @returns true when there are chains
   */
  #refill(): boolean {
    const { avail } = this.#ring;
    let idx = Atomics.load(avail, IDX);
    if (idx === this.#nextAvail && this.#unannounced !== 0) {
      // Call first: a driver on this core answers at once, and as it was not told to kick yet, it saves that too.
      this.#announce();
      idx = Atomics.load(avail, IDX);
    }
    if (idx === this.#nextAvail) {
      if (this.quiet || !this.#enableKicks()) return false;
      idx = Atomics.load(avail, IDX);
      if (idx === this.#nextAvail) return false;
    }
    const ahead = (idx - this.#nextAvail) & 0xffff;
    if (ahead + this.#inFlight + this.#held > this.size) {
      this.#break(
        'ERR_VIRTQ_INDEX',
        `avail.idx ${idx} is ${ahead} ahead, ${this.#inFlight} in flight, in a ring of ${this.size} entries`,
      );
      return false;
    }
    this.#availIdx = idx;
    if (!this.#eventIdx && this.#kicks !== KICKS_OFF) {
      this.#kicks = KICKS_OFF;
      this.#storeFlags(VRING_USED_F_NO_NOTIFY);
    }
    return true;
  }

  /** Asks for a kick at the next chain. The store is a full barrier. @returns false when the driver knew already */
  #enableKicks(): boolean {
    if (this.#eventIdx) {
      if (this.#availEvent === this.#nextAvail) return false;
      this.#availEvent = this.#nextAvail;
      Atomics.store(this.#ring.used, this.#availEventAt, this.#nextAvail);
      if (this.dirty !== null) this.#markUsed(this.dirty, this.#availEventAt * 2, 2);
      return true;
    }
    if (this.#kicks === KICKS_ON) return false;
    this.#kicks = KICKS_ON;
    this.#storeFlags(0);
    return true;
  }

  #storeFlags(flags: number): void {
    Atomics.store(this.#ring.used, FLAGS, flags);
    if (this.dirty !== null) this.#markUsed(this.dirty, 0, 2);
  }

  /** Gives a chain to the driver, in its order where that counts. */
  #giveBack(head: number, written: number): void {
    if (this.#order === null) this.#publish(head, written);
    else this.#settle(head, written);
  }

  /** A chain is complete: it and those behind it go to the driver, unless one before it is not. */
  #settle(head: number, written: number): void {
    const order = this.#order!;
    order.settle(head, written);
    this.#hold(head);
    while (order.ready) {
      const first = order.head;
      const { written: len } = order;
      order.shift();
      this.#held--;
      this.#busy[first] = HEAD_IDLE;
      this.#publish(first, len);
    }
  }

  /** What the queue before this one left, in its order. */
  #rememberOrder(order: CompletionOrder, kept: readonly KeptChain[]): void {
    if (kept.length > this.outstanding || kept.length > this.size) return;
    for (const { head, written } of kept) {
      if (head >= this.size || order.has(head)) continue;
      order.add(head, 1, written);
      if (written >= 0) this.#hold(head);
    }
  }

  /** What the device before this one left in flight; of those that it had completed, `kept` knows. */
  #recover(inflight: SplitInflight, kept: readonly KeptChain[]): void {
    const written = new Map(kept.map((chain) => [chain.head, chain.written]));
    this.#nextAvail = (this.#usedIdx + inflight.heads.length) & 0xffff;
    for (const head of inflight.heads) {
      const done = this.#order === null ? -1 : (written.get(head) ?? -1);
      this.#order?.add(head, 1, done);
      if (done >= 0) {
        this.#hold(head);
      } else {
        this.#busy[head] = HEAD_LEFT;
        this.#left++;
      }
    }
    // A kill between the last store to the ring and its mark: what is marked twice costs nothing.
    if (inflight.recovered && this.dirty !== null) this.#markUsed(this.dirty, 0, this.#ring.usedBytes);
  }

  #hold(head: number): void {
    this.#busy[head] = HEAD_HELD;
    this.#held++;
  }

  /** Writes a used element, then used.idx, and calls the driver when it is time. */
  #publish(head: number, written: number): void {
    const ring = this.#ring;
    const at = (this.#usedIdx & this.#mask) * 2;
    ring.usedElems[at] = head;
    ring.usedElems[at + 1] = written;
    this.#usedIdx = (this.#usedIdx + 1) & 0xffff;
    if (this.#inflight === null) {
      Atomics.store(ring.used, IDX, this.#usedIdx);
    } else {
      this.#inflight.completing(head);
      Atomics.store(ring.used, IDX, this.#usedIdx);
      this.#inflight.completed(head, this.#usedIdx);
    }
    if (this.dirty !== null) {
      this.#markUsed(this.dirty, USED_HEADER_BYTES + (at >> 1) * USED_ELEM_BYTES, USED_ELEM_BYTES);
      this.#markUsed(this.dirty, IDX * 2, 2);
    }
    this.#unannounced++;
    this.#batch++;
    if (this.#batch === 1 || this.#unannounced >= this.#callBatch || !this.batching) this.#announce();
  }

  #markUsed(dirty: DirtyLog, offset: number, len: number): void {
    dirty.markRingAt(this.#ring.usedGpa + offset, len);
  }

  /** Calls the driver for what was published since the last time, if it asks for it. */
  #announce(): void {
    const { avail } = this.#ring;
    const before = this.#announced;
    const now = this.#usedIdx;
    this.#announced = now;
    this.#unannounced = 0;
    let wanted: boolean;
    // The load follows the store of used.idx: both are sequentially consistent, which is the barrier needed here.
    if (this.#eventIdx) {
      const event = Atomics.load(avail, this.#usedEventAt);
      wanted = before === -1 || ((now - event - 1) & 0xffff) < ((now - before) & 0xffff);
    } else {
      wanted = (Atomics.load(avail, FLAGS) & VRING_AVAIL_F_NO_INTERRUPT) === 0;
    }
    if (wanted) {
      this.stats.calls++;
      this.#config.call();
    } else {
      this.stats.callsSuppressed++;
    }
  }

  #newChain(): PooledChain {
    const chain = new PooledChain(this, this.#firstCapacity);
    this.#chains.push(chain);
    return chain;
  }

  /** A chain just read goes to the device. */
  #lend(chain: PooledChain): void {
    chain.state = TAKEN;
    this.#busy[chain.head] = HEAD_BUSY;
    this.#inFlight++;
    this.stats.chains++;
    if (this.#order !== null && !this.#order.has(chain.head)) this.#order.add(chain.head, 1);
  }

  /** A chain just lent, with a buffer outside guest memory: the device does not get it. */
  #refuse(chain: PooledChain): void {
    const { head } = chain;
    const { error } = this.#reader;
    this.stats.chains--;
    this.stats.badChains++;
    this.#recycle(chain, FREE);
    this.#giveBack(head, 0);
    this.#config.onError(error!);
  }

  #recycle(chain: PooledChain, state: number): void {
    chain.state = state;
    chain.context = undefined;
    this.#busy[chain.head] = HEAD_IDLE;
    this.#inFlight--;
    this.#free.push(chain);
  }

  #break(code: 'ERR_VIRTQ_INDEX' | 'ERR_VIRTQ_HEAD' | 'ERR_VIRTQ_BUFFER', detail: string): null {
    return this.#fail(new VirtqueueError(code, 'driver', `queue ${this.index}: ${detail}`, { queue: this.index }));
  }

  #fail(error: VirtqueueError): null {
    this.#healthy = false;
    this.#config.onError(error);
    return null;
  }
}
