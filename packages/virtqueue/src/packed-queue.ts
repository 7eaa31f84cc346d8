/** The packed ring, device side. */
import type { GuestMemory } from '@oriel/guest-memory';
import { VirtqueueError } from './errors.ts';
import {
  VRING_DESC_F_WRITE,
  VRING_PACKED_DESC_F_AVAIL,
  VRING_PACKED_DESC_F_USED,
  VRING_PACKED_EVENT_FLAG_DESC,
  VRING_PACKED_EVENT_FLAG_DISABLE,
  VRING_PACKED_EVENT_FLAG_ENABLE,
} from './layout.ts';
import {
  BEFORE_ALL,
  HEAD_HELD,
  HEAD_IDLE,
  HEAD_LEFT,
  LendingQueue,
  MAX_BAD_CHAINS,
  MAX_BAD_DESCRIPTORS,
  type RingFormat,
} from './lending-queue.ts';
import { PackedChainReader } from './packed-chain-reader.ts';
import { type LeftChain, PackedInflight } from './packed-inflight.ts';
import { bindPackedRing, eventPassed, lapPosition, type PackedRing, slotsBetween } from './packed-ring.ts';
import { CHAIN_BROKEN, CHAIN_OK } from './piece-reader.ts';
import { chainInFlight, type PooledChain } from './pooled-chain.ts';
import type { Chain, KeptChain, PackedQueueConfig, QueueState } from './queue.ts';
import { isPackedRingSize } from './ring-size.ts';

// The compiler folds a module's own constants into hot code; imported ones it loads and checks each time.
const OK = CHAIN_OK;
const BROKEN = CHAIN_BROKEN;
const IDLE = HEAD_IDLE;
const BAD_CHAINS = MAX_BAD_CHAINS;
const BAD_DESCRIPTORS = MAX_BAD_DESCRIPTORS;
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

/** Buffer ids: any u16. */
const IDS = 0x1_0000;

const FORMAT: RingFormat<PackedRing, PackedChainReader> = {
  bind: bindPackedRing,
  reader: (memory, limits) => new PackedChainReader(memory, limits),
};

/**
 * The packed ring, device side (VIRTIO 1.3, 2.8): a `DeviceQueue` over a ring in direct regions of guest memory. What the
 * device gives back overwrites descriptors of chains that it still has: these live on in their `Chain` objects.
 */
export class PackedQueue extends LendingQueue<PackedRing, PackedChainReader> {
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
  /** Descriptors of the completions since the last decision to call or not. */
  #unannouncedSlots = 0;
  /** Kept of this queue, and of the one before it: by id. */
  readonly #kept = new Map<number, KeptChain>();
  readonly #earlier = new Map<number, KeptChain>();
  readonly #inflight: PackedInflight | null;
  /** Where in those that it found in flight the next one is looked for. */
  #leftAt = 0;

  /**
   * Finds the ring in memory; writes nothing yet.
   * @throws VirtqueueError ERR_VIRTQ_SIZE, ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY; RangeError for options
   */
  constructor(memory: GuestMemory, config: PackedQueueConfig) {
    const { index, size, base, inflight = null, kept = [] } = config;
    if (!isPackedRingSize(size)) {
      throw new VirtqueueError('ERR_VIRTQ_SIZE', 'frontend', `ring size ${size}, want 1 to 32768`, { queue: index });
    }
    super(memory, config, FORMAT, IDS);
    const out = slotsBetween(base, size);
    const used = (base >>> 16) & 0xffff;
    this.#inflight = inflight === null ? null : new PackedInflight(inflight, config, this.ring, used, out);
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
    if (recovered) this.#recover(this.#inflight!, kept);
    else this.#remember(kept);
  }

  /** Both places with their wrap counters: see `PackedQueueConfig.base`. */
  get base(): number {
    return (this.#nextAvail | this.#availWrap | ((this.#nextUsed | this.#usedWrap) << 16)) >>> 0;
  }

  get outstanding(): number {
    return this.#slotsOut;
  }

  get blank(): boolean {
    if (!this.usable()) return false;
    const { desc } = this.ring;
    // The last place of the ring, which a driver reaches at the end of its first lap.
    return desc.subarray(-4).every((word) => word === 0);
  }

  get state(): QueueState {
    const { base } = this;
    const chains = new Map([...this.#earlier, ...this.#kept]);
    if (this.order === null) return { base, kept: [...chains.values()] };
    return { base, kept: this.order.list((head) => chains.get(head)?.buffers ?? []) };
  }

  /** The driver writes a chain's first flags last: this load comes before those of the rest (2.8.14). */
  protected get available(): boolean {
    const word = Atomics.load(this.ring.desc, (this.#nextAvail << 2) + 3);
    return ((word >>> 16) & (AVAIL | USED)) === this.#availFlags;
  }

  next(): Chain | null {
    if (!this.usable()) return null;
    for (let bad = 0, descriptors = 0; bad < BAD_CHAINS && descriptors < BAD_DESCRIPTORS; bad++) {
      if (this.left !== 0) {
        const left = this.#nextLeft();
        const chain = this.#takeLeft(left, true);
        if (chain !== null || !this.usable()) return chain;
        descriptors += left.slots + this.reader.visited;
        continue;
      }
      if (!this.available && !this.#lookAgain()) return null;
      // A place that was asked for long ago brings no kick; the zero of a new ring brings one with each chain.
      if (this.#asked !== DISABLE && (!this.eventIdx || this.#asked === NOT_ASKED)) this.#ask(DISABLE);
      const chain = this.emptyChain();
      const first = this.#nextAvail;
      const { desc } = this.ring;
      const verdict = this.reader.read(desc, first, this.size - this.#slotsOut, chain);
      if (verdict === BROKEN) return this.fail(this.reader.error!, chain);
      if (this.heads[chain.head] !== IDLE || (this.#earlier.size !== 0 && this.#earlier.has(chain.head))) {
        return this.break('ERR_VIRTQ_HEAD', `buffer id ${chain.head} is in flight`, chain);
      }
      this.#advance(chain.slots);
      chain.sequence = ++this.taken;
      if (this.#inflight !== null) this.#inflight.take(desc, first, chain.slots, chain.head);
      chain.again = false;
      this.lend(chain);
      if (verdict === OK) return chain;
      descriptors += this.reader.visited;
      this.refuse(chain);
      if (!this.usable()) return null;
    }
    return this.break('ERR_VIRTQ_BUFFER', 'nothing but bad chains: over 4096 of them, or 2^20 descriptors');
  }

  override keep(chain: Chain): number {
    const own = chainInFlight(this, chain);
    const { head, slots } = own;
    this.#kept.set(head, { head, written: -1, slots, buffers: own.buffers() });
    return super.keep(own);
  }

  takeBack(head: number): Chain | null {
    if (this.#inflight !== null) {
      if (this.heads[head] !== HEAD_LEFT || !this.usable()) return null;
      return this.#takeLeft(this.#inflight.chains.find(({ id }) => id === head)!, false);
    }
    const kept = this.#earlier.get(head);
    if (kept === undefined || !this.usable()) return null;
    this.#earlier.delete(head);
    const chain = this.emptyChain();
    chain.head = head;
    const verdict = this.reader.restore(kept.buffers, chain);
    if (verdict === BROKEN) return this.fail(this.reader.error!, chain);
    chain.slots = kept.slots;
    chain.sequence = BEFORE_ALL;
    chain.again = false;
    this.lend(chain);
    return verdict === OK ? chain : this.refuse(chain);
  }

  abandonKept(): void {
    for (const { head, slots } of this.#kept.values()) {
      this.heads[head] = HEAD_IDLE;
      if (this.usable()) this.giveBack(head, slots, 0);
    }
    this.#kept.clear();
  }

  /** Its descriptors are as the driver wrote them: what was used lies before every chain that is not. */
  protected untake({ head, slots }: PooledChain): void {
    this.#inflight?.untake(head);
    this.#advance(-slots);
  }

  protected enableKicks(): boolean {
    const word = this.eventIdx ? AT_DESC | this.#availWrap | this.#nextAvail : ENABLE;
    if (this.#asked === word) return false;
    this.#ask(word);
    return true;
  }

  protected leaveKicks(): void {
    if (this.#asked === DISABLE && this.usable()) this.#ask(ENABLE);
  }

  /** Writes a used descriptor, its flags last. */
  protected publish(id: number, slots: number, written: number): void {
    const { desc } = this.ring;
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
    if (this.dirty !== null) this.dirty.markRingAt(this.ring.descGpa + slot * DESC_BYTES, DESC_BYTES);
    this.#unannouncedSlots += slots;
    this.published();
  }

  protected announce(): void {
    const slots = this.#unannouncedSlots;
    this.unannounced = 0;
    this.#unannouncedSlots = 0;
    // The load follows the store of the used flags: both are sequentially consistent, which is the barrier needed here.
    const word = Atomics.load(this.ring.driver, 0);
    const flags = word & (3 << 16);
    let wanted = flags !== DISABLE;
    if (flags === AT_DESC && this.eventIdx && this.#called) {
      const now = lapPosition(this.#nextUsed | this.#usedWrap, this.size);
      wanted = eventPassed(word & 0xffff, now, slots, this.size);
    }
    this.#called = true;
    this.decided(wanted);
  }

  /** The ring looks empty: calls the driver for what is done, asks for a kick, looks again. @returns true for a chain */
  #lookAgain(): boolean {
    if (this.unannounced !== 0) {
      // Call first: a driver on this core answers at once, and as it was not told to kick yet, it saves that too.
      this.announce();
      if (this.available) return true;
    }
    return !this.quiet && this.enableKicks() && this.available;
  }

  /** The store is a full barrier; both fields change at once. */
  #ask(word: number): void {
    this.#asked = word;
    Atomics.store(this.ring.device, 0, word);
    if (this.dirty !== null) this.dirty.markRingAt(this.ring.deviceGpa, AREA_BYTES);
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

  /** What the queue before this one left; of no use where the ring does not wait for as many descriptors. */
  #remember(kept: readonly KeptChain[]): void {
    const slots = kept.reduce((sum, chain) => sum + chain.slots, 0);
    if (slots > this.#slotsOut) return;
    for (const chain of kept) {
      const { head, written } = chain;
      this.order?.add(head, chain.slots, written);
      if (written < 0) this.#earlier.set(head, chain);
      else this.heads[head] = HEAD_HELD;
    }
  }

  /** What the device before this one left in flight; of those that it had completed, `kept` knows. */
  #recover(inflight: PackedInflight, kept: readonly KeptChain[]): void {
    const written = new Map(kept.map((chain) => [chain.head, chain.written]));
    for (const { id, slots } of inflight.chains) {
      const done = this.order === null ? -1 : (written.get(id) ?? -1);
      this.#advance(slots);
      this.order?.add(id, slots, done);
      this.heads[id] = done < 0 ? HEAD_LEFT : HEAD_HELD;
      if (done < 0) this.left++;
    }
    // A kill between the last store to the ring and its mark: what is marked twice costs nothing.
    this.dirty?.markRingAt(this.ring.descGpa, this.size * DESC_BYTES);
  }

  /** The oldest chain that the device before left in flight; there is one. */
  #nextLeft(): LeftChain {
    const { chains } = this.#inflight!;
    while (this.heads[chains[this.#leftAt]!.id] !== HEAD_LEFT) this.#leftAt++;
    return chains[this.#leftAt]!;
  }

  /** Reads it from its copy. @returns null where the driver broke a rule in it */
  #takeLeft(left: LeftChain, again: boolean): Chain | null {
    const chain = this.emptyChain();
    const verdict = this.reader.read(left.desc, 0, left.slots, chain);
    if (verdict === BROKEN) return this.fail(this.reader.error!, chain);
    this.left--;
    chain.sequence = BEFORE_ALL;
    chain.again = again;
    this.lend(chain);
    return verdict === OK ? chain : this.refuse(chain);
  }
}
