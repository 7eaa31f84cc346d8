/** The packed ring, device side. */
import type { GuestMemory } from '@oriel/guest-memory';
import { CompletionOrder } from './completion-order.ts';
import { VirtqueueError } from './errors.ts';
import {
  VRING_DESC_F_WRITE,
  VRING_PACKED_DESC_F_AVAIL,
  VRING_PACKED_DESC_F_USED,
  VRING_PACKED_EVENT_FLAG_DESC,
  VRING_PACKED_EVENT_FLAG_DISABLE,
  VRING_PACKED_EVENT_FLAG_ENABLE,
} from './layout.ts';
import { PackedChainReader } from './packed-chain-reader.ts';
import { type LeftChain, PackedInflight } from './packed-inflight.ts';
import { bindPackedRing, eventPassed, lapDistance, lapPosition, type PackedRing } from './packed-ring.ts';
import { CHAIN_BROKEN, CHAIN_OK } from './piece-reader.ts';
import { CHAIN_FREE, CHAIN_TAKEN, CHAIN_UNFETCHED, chainInFlight, ownChain, PooledChain } from './pooled-chain.ts';
import {
  type Chain,
  type DirtyLog,
  type KeptChain,
  newQueueStats,
  type PackedQueueConfig,
  type QueueState,
  type QueueStats,
  type RingQueue,
} from './queue.ts';
import { queueLimits } from './queue-limits.ts';
import { isPackedRingSize } from './ring-size.ts';

/** Bad chains in a row, in one `next()`, after which the driver is held to be hostile: it must not keep us here. */
const MAX_BAD_CHAINS = 4096;
/** The same for the descriptors in them: one table can have 32768. */
const MAX_BAD_DESCRIPTORS = 2 ** 20;

// The compiler folds a module's own constants into hot code; imported ones it loads and checks each time.
const OK = CHAIN_OK;
const BROKEN = CHAIN_BROKEN;
const FREE = CHAIN_FREE;
const TAKEN = CHAIN_TAKEN;
const WRITE = VRING_DESC_F_WRITE;
const AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL;
const USED = 1 << VRING_PACKED_DESC_F_USED;
const ENABLE = VRING_PACKED_EVENT_FLAG_ENABLE << 16;
const DISABLE = VRING_PACKED_EVENT_FLAG_DISABLE << 16;
const AT_DESC = VRING_PACKED_EVENT_FLAG_DESC << 16;
/** The wrap counter in an `off_wrap`. */
const WRAP = 0x8000;
const DESC_BYTES = 16;
const AREA_BYTES = 4;

/** What the device area holds, before anything was written there. */
const NOT_ASKED = -1;

/**
 * What is known of a buffer id: with the driver, with the device, kept over a stop, held back for its order, or left in
 * flight by a device before.
 */
const ID_IDLE = 0;
const ID_BUSY = 1;
const ID_KEPT = 2;
const ID_HELD = 3;
const ID_LEFT = 4;

/** Place in the order of a chain that was taken back: before all others. */
const BEFORE_ALL = 0;

/**
 * The packed ring, device side (VIRTIO 1.3, 2.8): a `DeviceQueue` over a ring in direct regions of guest memory. What the
 * device gives back overwrites descriptors of chains that it still has: these live on in their `Chain` objects.
 */
export class PackedQueue implements RingQueue {
  readonly index: number;
  readonly size: number;
  readonly stats: QueueStats = newQueueStats();
  quiet = false;
  batching = true;
  dirty: DirtyLog | null;
  readonly #memory: GuestMemory;
  readonly #config: PackedQueueConfig;
  readonly #reader: PackedChainReader;
  readonly #eventIdx: boolean;
  readonly #callBatch: number;
  readonly #firstCapacity: number;
  #ring: PackedRing;
  /** Of the memory, when the ring was bound. */
  #generation: number;
  #healthy = true;
  #stopped = false;
  /** The next descriptor to take, and to use; the wrap counters as bit 15 of an `off_wrap`. */
  #nextAvail: number;
  #availWrap: number;
  #nextUsed: number;
  #usedWrap: number;
  /** AVAIL and USED of a descriptor that is available at `#nextAvail`. */
  #availFlags: number;
  /** Descriptors between the two. */
  #slotsOut: number;
  /** What the device area holds, or NOT_ASKED. */
  #asked = NOT_ASKED;
  /** False until the driver was called for the first time, which is not asked for. */
  #called = false;
  /** Completions since the last decision to call or not, their descriptors, and completions since the last flush. */
  #unannounced = 0;
  #unannouncedSlots = 0;
  #batch = 0;
  #inFlight = 0;
  #taken = 0;
  /** One of ID_* for each id: a driver that offers one in flight could not tell two chains apart. */
  readonly #busy = new Uint8Array(0x1_0000);
  readonly #free: PooledChain[] = [];
  readonly #chains: PooledChain[] = [];
  /** Kept of this queue, and of the one before it: by id. */
  readonly #kept = new Map<number, KeptChain>();
  readonly #earlier = new Map<number, KeptChain>();
  readonly #order: CompletionOrder | null;
  readonly #inflight: PackedInflight | null;
  /** Of those that it found in flight: how many nobody took yet, and where the next one is looked for. */
  #left = 0;
  #leftAt = 0;

  /**
   * Finds the ring in memory; writes nothing yet.
   * @throws VirtqueueError ERR_VIRTQ_SIZE, ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY; RangeError for options
   */
  constructor(memory: GuestMemory, config: PackedQueueConfig) {
    const { index, size, base } = config;
    if (!isPackedRingSize(size)) {
      throw new VirtqueueError('ERR_VIRTQ_SIZE', 'frontend', `ring size ${size}, want 1 to 32768`, { queue: index });
    }
    const { maxPieces, callBatch, firstCapacity } = queueLimits(config);
    this.index = index;
    this.size = size;
    this.#memory = memory;
    this.#config = config;
    this.#eventIdx = config.eventIdx;
    this.#callBatch = callBatch;
    this.#firstCapacity = firstCapacity;
    this.#reader = new PackedChainReader(memory, { index, size, indirect: config.indirect, maxPieces });
    this.#ring = bindPackedRing(memory, config);
    this.#generation = memory.generation;
    const { inflight = null, kept = [] } = config;
    const out = slotsBetween(base, size);
    const used = (base >>> 16) & 0xffff;
    this.#inflight = inflight === null ? null : new PackedInflight(inflight, config, this.#ring, used, out);
    const recovered = this.#inflight?.recovered === true;
    // What a front-end knows of a killed device's place is of no use: the area has it.
    if (!recovered && out < 0) {
      const detail = `ring base 0x${base.toString(16)} of a ring of ${size} entries`;
      throw new VirtqueueError('ERR_VIRTQ_SIZE', 'frontend', detail, { queue: index });
    }
    const place = recovered ? this.#inflight!.used : used;
    this.#nextUsed = place & 0x7fff;
    this.#usedWrap = place & WRAP;
    this.#slotsOut = recovered ? 0 : out;
    this.#nextAvail = recovered ? this.#nextUsed : base & 0x7fff;
    this.#availWrap = recovered ? this.#usedWrap : base & WRAP;
    this.#availFlags = this.#availWrap === 0 ? USED : AVAIL;
    this.dirty = config.dirty ?? null;
    this.#order = config.inOrder === true ? new CompletionOrder(size) : null;
    if (recovered) this.#recover(this.#inflight!, kept);
    else this.#remember(kept);
  }

  get healthy(): boolean {
    return this.#healthy;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Both places with their wrap counters: see `PackedQueueConfig.base`. */
  get base(): number {
    return (this.#nextAvail | this.#availWrap | ((this.#nextUsed | this.#usedWrap) << 16)) >>> 0;
  }

  get outstanding(): number {
    return this.#slotsOut;
  }

  get blank(): boolean {
    if (!this.#usable()) return false;
    const { desc } = this.#ring;
    // The last place of the ring, which a driver reaches at the end of its first lap.
    return desc.subarray(-4).every((word) => word === 0);
  }

  get state(): QueueState {
    const { base } = this;
    const chains = new Map([...this.#earlier, ...this.#kept]);
    if (this.#order === null) return { base, kept: [...chains.values()] };
    return { base, kept: this.#order.list((head) => chains.get(head)?.buffers ?? []) };
  }

  get hasWork(): boolean {
    if (!this.#healthy || this.#stopped) return false;
    if (this.#left !== 0) return true;
    // After a table change the views may be gone: next() looks, and says so if the ring is.
    return this.#generation !== this.#memory.generation || this.#available();
  }

  next(): Chain | null {
    if (!this.#usable()) return null;
    for (let bad = 0, descriptors = 0; bad < MAX_BAD_CHAINS && descriptors < MAX_BAD_DESCRIPTORS; bad++) {
      if (this.#left !== 0) {
        const left = this.#nextLeft();
        const chain = this.#takeLeft(left, true);
        if (chain !== null || !this.#usable()) return chain;
        descriptors += left.slots + this.#reader.visited;
        continue;
      }
      if (!this.#available() && !this.#lookAgain()) return null;
      // A place that was asked for long ago brings no kick; the zero of a new ring brings one with each chain.
      if (this.#asked !== DISABLE && (!this.#eventIdx || this.#asked === NOT_ASKED)) this.#ask(DISABLE);
      const chain = this.#free.pop() ?? this.#newChain();
      const first = this.#nextAvail;
      const { desc } = this.#ring;
      const verdict = this.#reader.read(desc, first, this.size - this.#slotsOut, chain);
      if (verdict === BROKEN) return this.#fail(this.#reader.error!, chain);
      if (this.#busy[chain.head] !== ID_IDLE || (this.#earlier.size !== 0 && this.#earlier.has(chain.head))) {
        return this.#break('ERR_VIRTQ_HEAD', `buffer id ${chain.head} is in flight`, chain);
      }
      this.#advance(chain.slots);
      chain.sequence = ++this.#taken;
      if (this.#inflight !== null) this.#inflight.take(desc, first, chain.slots, chain.head);
      chain.again = false;
      this.#lend(chain);
      if (this.#order !== null) this.#order.add(chain.head, chain.slots);
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
    const { head, slots, readBytes } = own;
    if (this.dirty !== null) own.markDirty(this.dirty);
    this.#recycle(own, FREE);
    if (!this.#usable()) return;
    this.stats.completed++;
    this.stats.bytesRead += readBytes;
    this.stats.bytesWritten += written;
    this.#giveBack(head, slots, written);
  }

  unfetch(chain: Chain): boolean {
    const own = ownChain(this, chain);
    if (own.state !== TAKEN) return own.state === CHAIN_UNFETCHED;
    if (this.#stopped || !this.#healthy || own.sequence === BEFORE_ALL) return false;
    const { sequence } = own;
    const later = this.#chains.filter((c) => c.state === TAKEN && c.sequence >= sequence);
    if (later.length !== this.#taken - sequence + 1) return false;
    // Newest first, for the in-flight area: what is in flight is always the oldest part of what was taken.
    later.sort((a, b) => b.sequence - a.sequence);
    // Their descriptors are as the driver wrote them: what was used lies before every chain that is not.
    for (const c of later) {
      this.#inflight?.untake(c.head);
      this.#recycle(c, CHAIN_UNFETCHED);
      this.#advance(-c.slots);
    }
    this.#taken -= later.length;
    this.stats.chains -= later.length;
    this.#order?.drop(later.length);
    return true;
  }

  keep(chain: Chain): number {
    const own = chainInFlight(this, chain);
    const { head, slots } = own;
    this.#kept.set(head, { head, written: -1, slots, buffers: own.buffers() });
    this.#recycle(own, FREE);
    this.#busy[head] = ID_KEPT;
    this.stats.chains--;
    return head;
  }

  takeBack(head: number): Chain | null {
    if (this.#inflight !== null) {
      if (this.#busy[head] !== ID_LEFT || !this.#usable()) return null;
      return this.#takeLeft(this.#inflight.chains.find(({ id }) => id === head)!, false);
    }
    const kept = this.#earlier.get(head);
    if (kept === undefined || !this.#usable()) return null;
    this.#earlier.delete(head);
    const chain = this.#free.pop() ?? this.#newChain();
    chain.head = head;
    const verdict = this.#reader.restore(kept.buffers, chain);
    if (verdict === BROKEN) return this.#fail(this.#reader.error!, chain);
    chain.slots = kept.slots;
    chain.sequence = BEFORE_ALL;
    chain.again = false;
    this.#lend(chain);
    if (verdict === OK) return chain;
    this.#refuse(chain);
    return null;
  }

  abandonKept(): void {
    for (const { head, slots } of this.#kept.values()) {
      this.#busy[head] = ID_IDLE;
      if (this.#usable()) this.#giveBack(head, slots, 0);
    }
    this.#kept.clear();
  }

  flush(): void {
    this.#batch = 0;
    if (this.#unannounced !== 0 && this.#usable()) this.#announce();
  }

  askForKicks(): boolean {
    if (!this.#usable()) return false;
    this.#enableKicks();
    return this.#available();
  }

  rebind(): void {
    try {
      this.#ring = bindPackedRing(this.#memory, this.#config);
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
    if (this.#asked === DISABLE && this.#usable()) this.#ask(ENABLE);
    this.#stopped = true;
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

  /** The driver writes a chain's first flags last: this load comes before those of the rest (2.8.14). */
  #available(): boolean {
    const word = Atomics.load(this.#ring.desc, (this.#nextAvail << 2) + 3);
    return ((word >>> 16) & (AVAIL | USED)) === this.#availFlags;
  }

  /** The ring looks empty: calls the driver for what is done, asks for a kick, looks again. @returns true for a chain */
  #lookAgain(): boolean {
    if (this.#unannounced !== 0) {
      // Call first: a driver on this core answers at once, and as it was not told to kick yet, it saves that too.
      this.#announce();
      if (this.#available()) return true;
    }
    return !this.quiet && this.#enableKicks() && this.#available();
  }

  /** Asks for a kick at the next chain. @returns false when the driver knew already */
  #enableKicks(): boolean {
    const word = this.#eventIdx ? AT_DESC | this.#availWrap | this.#nextAvail : ENABLE;
    if (this.#asked === word) return false;
    this.#ask(word);
    return true;
  }

  /** The store is a full barrier; both fields change at once. */
  #ask(word: number): void {
    this.#asked = word;
    Atomics.store(this.#ring.device, 0, word);
    if (this.dirty !== null) this.dirty.markRingAt(this.#ring.deviceGpa, AREA_BYTES);
  }

  /** Moves on, or back, in the ring by the descriptors of a chain. */
  #advance(slots: number): void {
    this.#slotsOut += slots;
    let next = this.#nextAvail + slots;
    if (next >= this.size || next < 0) {
      next += slots > 0 ? -this.size : this.size;
      this.#availWrap ^= WRAP;
      this.#availFlags ^= AVAIL | USED;
    }
    this.#nextAvail = next;
  }

  /** Gives a chain to the driver, in its order where that counts. */
  #giveBack(head: number, slots: number, written: number): void {
    const order = this.#order;
    if (order === null) {
      this.#publish(head, slots, written);
      return;
    }
    order.settle(head, written);
    this.#busy[head] = ID_HELD;
    while (order.ready) {
      const { head: first, slots: count, written: len } = order;
      order.shift();
      this.#busy[first] = ID_IDLE;
      this.#publish(first, count, len);
    }
  }

  /** Writes a used descriptor, its flags last, and calls the driver when it is time. */
  #publish(id: number, slots: number, written: number): void {
    const { desc } = this.#ring;
    const slot = this.#nextUsed;
    const at = slot << 2;
    const flags = (this.#usedWrap === 0 ? 0 : AVAIL | USED) | (written === 0 ? 0 : WRITE);
    let next = slot + slots;
    let wrap = this.#usedWrap;
    if (next >= this.size) {
      next -= this.size;
      wrap ^= WRAP;
    }
    if (this.#inflight === null) {
      desc[at + 2] = written;
      Atomics.store(desc, at + 3, id | (flags << 16));
    } else {
      const from = slot | this.#usedWrap;
      this.#inflight.completing(id, from, next | wrap);
      desc[at + 2] = written;
      Atomics.store(desc, at + 3, id | (flags << 16));
      this.#inflight.completed(id, from, next | wrap);
    }
    this.#slotsOut -= slots;
    this.#nextUsed = next;
    this.#usedWrap = wrap;
    if (this.dirty !== null) this.dirty.markRingAt(this.#ring.descGpa + slot * DESC_BYTES, DESC_BYTES);
    this.#unannounced++;
    this.#unannouncedSlots += slots;
    this.#batch++;
    if (this.#batch === 1 || this.#unannounced >= this.#callBatch || !this.batching) this.#announce();
  }

  /** Calls the driver for what was published since the last time, if it asks for it. */
  #announce(): void {
    const slots = this.#unannouncedSlots;
    this.#unannounced = 0;
    this.#unannouncedSlots = 0;
    // The load follows the store of the used flags: both are sequentially consistent, which is the barrier needed here.
    const word = Atomics.load(this.#ring.driver, 0);
    const flags = word & (3 << 16);
    let wanted = flags !== DISABLE;
    if (flags === AT_DESC && this.#eventIdx && this.#called) {
      const now = lapPosition(this.#nextUsed | this.#usedWrap, this.size);
      wanted = eventPassed(word & 0xffff, now, slots, this.size);
    }
    this.#called = true;
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
    this.#busy[chain.head] = ID_BUSY;
    this.#inFlight++;
    this.stats.chains++;
  }

  /** A chain just lent, with a buffer outside guest memory: the device does not get it. */
  #refuse(chain: PooledChain): void {
    const { head, slots } = chain;
    const { error } = this.#reader;
    this.stats.chains--;
    this.stats.badChains++;
    this.#recycle(chain, FREE);
    this.#giveBack(head, slots, 0);
    this.#config.onError(error!);
  }

  #recycle(chain: PooledChain, state: number): void {
    chain.state = state;
    chain.context = undefined;
    this.#busy[chain.head] = ID_IDLE;
    this.#inFlight--;
    this.#free.push(chain);
  }

  /** What the queue before this one left; of no use where the ring does not wait for as many descriptors. */
  #remember(kept: readonly KeptChain[]): void {
    const slots = kept.reduce((sum, chain) => sum + chain.slots, 0);
    if (slots > this.#slotsOut) return;
    for (const chain of kept) {
      const { head, written } = chain;
      this.#order?.add(head, chain.slots, written);
      if (written < 0) this.#earlier.set(head, chain);
      else this.#busy[head] = ID_HELD;
    }
  }

  /** What the device before this one left in flight; of those that it had completed, `kept` knows. */
  #recover(inflight: PackedInflight, kept: readonly KeptChain[]): void {
    const written = new Map(kept.map((chain) => [chain.head, chain.written]));
    for (const { id, slots } of inflight.chains) {
      const done = this.#order === null ? -1 : (written.get(id) ?? -1);
      this.#advance(slots);
      this.#order?.add(id, slots, done);
      this.#busy[id] = done < 0 ? ID_LEFT : ID_HELD;
      if (done < 0) this.#left++;
    }
    // A kill between the last store to the ring and its mark: what is marked twice costs nothing.
    this.dirty?.markRingAt(this.#ring.descGpa, this.size * DESC_BYTES);
  }

  /** The oldest chain that the device before left in flight; there is one. */
  #nextLeft(): LeftChain {
    const { chains } = this.#inflight!;
    while (this.#busy[chains[this.#leftAt]!.id] !== ID_LEFT) this.#leftAt++;
    return chains[this.#leftAt]!;
  }

  /** Reads it from its copy. @returns null where the driver broke a rule in it */
  #takeLeft(left: LeftChain, again: boolean): Chain | null {
    const chain = this.#free.pop() ?? this.#newChain();
    const verdict = this.#reader.read(left.desc, 0, left.slots, chain);
    if (verdict === BROKEN) return this.#fail(this.#reader.error!, chain);
    this.#left--;
    chain.sequence = BEFORE_ALL;
    chain.again = again;
    this.#lend(chain);
    if (verdict === OK) return chain;
    this.#refuse(chain);
    return null;
  }

  #break(code: 'ERR_VIRTQ_HEAD' | 'ERR_VIRTQ_BUFFER', detail: string, chain?: PooledChain): null {
    return this.#fail(
      new VirtqueueError(code, 'driver', `queue ${this.index}: ${detail}`, { queue: this.index }),
      chain,
    );
  }

  #fail(error: VirtqueueError, chain?: PooledChain): null {
    if (chain !== undefined) this.#free.push(chain);
    this.#healthy = false;
    this.#config.onError(error);
    return null;
  }
}

/** Descriptors that a driver waits for at this base; -1 when it is none of a ring of `size` entries. */
function slotsBetween(base: number, size: number): number {
  if (!Number.isInteger(base) || base < 0 || base > 0xffff_ffff) return -1;
  const avail = lapPosition(base & 0xffff, size);
  const used = lapPosition(base >>> 16, size);
  if (avail < 0 || used < 0) return -1;
  const slots = lapDistance(used, avail, size);
  return slots <= size ? slots : -1;
}
