/** The split ring, device side. */
import type { GuestMemory } from '@oriel/guest-memory';
import { ChainReader } from './chain-reader.ts';
import type { CompletionOrder } from './completion-order.ts';
import { VirtqueueError } from './errors.ts';
import { VRING_AVAIL_F_NO_INTERRUPT, VRING_USED_F_NO_NOTIFY } from './layout.ts';
import {
  BEFORE_ALL,
  HEAD_HELD,
  HEAD_IDLE,
  HEAD_KEPT,
  HEAD_LEFT,
  LendingQueue,
  MAX_BAD_CHAINS,
  MAX_BAD_DESCRIPTORS,
  type RingFormat,
} from './lending-queue.ts';
import { CHAIN_BROKEN, CHAIN_OK } from './piece-reader.ts';
import type { PooledChain } from './pooled-chain.ts';
import type { Chain, DirtyLog, KeptChain, QueueState, SplitQueueConfig } from './queue.ts';
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

// The compiler folds a module's own constants into hot code; imported ones it loads and checks each time.
const OK = CHAIN_OK;
const BROKEN = CHAIN_BROKEN;
const IDLE = HEAD_IDLE;
const BAD_CHAINS = MAX_BAD_CHAINS;
const BAD_DESCRIPTORS = MAX_BAD_DESCRIPTORS;
const IDX = RING_IDX;
const FLAGS = RING_FLAGS;
const HEADS = AVAIL_HEADS;

/** Whether the driver was told to kick; before the first empty ring it is not known. */
const KICKS_UNKNOWN = 0;
const KICKS_ON = 1;
const KICKS_OFF = 2;

/** Bytes of a used element, and of what stands before them. */
const USED_ELEM_BYTES = 8;
const USED_HEADER_BYTES = 4;

const FORMAT: RingFormat<SplitRing, ChainReader> = {
  bind: bindSplitRing,
  reader: (memory, limits) => new ChainReader(memory, limits),
};

/** The split ring, device side (VIRTIO 1.3, 2.7): a `DeviceQueue` over rings in direct regions of guest memory. */
export class SplitQueue extends LendingQueue<SplitRing, ChainReader> {
  readonly #mask: number;
  readonly #usedEventAt: number;
  readonly #availEventAt: number;
  /** Shadows of the ring's indexes; those in guest memory belong to the driver. */
  #nextAvail: number;
  #availIdx: number;
  #usedIdx: number;
  /** What avail_event holds, or -1. */
  #availEvent = -1;
  #kicks = KICKS_UNKNOWN;
  /** used.idx at the last decision to call or not; -1 before the first, which calls. */
  #announced = -1;
  readonly #inflight: SplitInflight | null;
  /** Where in those that it found in flight the next one is looked for. */
  #leftAt = 0;

  /**
   * Finds the ring in memory; writes nothing yet.
   * @throws VirtqueueError ERR_VIRTQ_SIZE, ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY; RangeError for options
   */
  constructor(memory: GuestMemory, config: SplitQueueConfig) {
    const { index, size, base, inflight = null, kept = [] } = config;
    if (!isRingSize(size)) {
      throw new VirtqueueError('ERR_VIRTQ_SIZE', 'frontend', `ring size ${size}, want a power of two to 32768`, {
        queue: index,
      });
    }
    if (!Number.isInteger(base) || base < 0 || base > 0xffff) {
      throw new VirtqueueError('ERR_VIRTQ_SIZE', 'frontend', `ring base ${base}, want 0 to 65535`, { queue: index });
    }
    super(memory, config, FORMAT, size);
    this.#mask = size - 1;
    this.#usedEventAt = usedEventAt(size);
    this.#availEventAt = availEventAt(size);
    this.#nextAvail = base;
    this.#usedIdx = Atomics.load(this.ring.used, IDX);
    this.#inflight =
      inflight === null ? null : new SplitInflight(inflight, config, this.#usedIdx, this.outstanding, kept);
    if (this.#inflight !== null) this.#recover(this.#inflight, kept);
    else if (this.order !== null) this.#rememberOrder(this.order, kept);
    this.#availIdx = this.#nextAvail;
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
    if (this.order !== null) return { base, kept: this.order.list(() => []) };
    const heads = [...this.heads.keys()].filter((head) => this.heads[head] === HEAD_KEPT);
    return { base, kept: heads.map((head) => ({ head, written: -1, slots: 1, buffers: [] })) };
  }

  protected get available(): boolean {
    return Atomics.load(this.ring.avail, IDX) !== this.#nextAvail;
  }

  next(): Chain | null {
    if (!this.usable()) return null;
    const { ring } = this;
    for (let bad = 0, descriptors = 0; bad < BAD_CHAINS && descriptors < BAD_DESCRIPTORS; bad++) {
      const again = this.left !== 0;
      let head: number;
      if (again) {
        head = this.#nextLeft();
      } else {
        if (this.#nextAvail === this.#availIdx && !this.#refill()) return null;
        head = ring.avail[HEADS + (this.#nextAvail & this.#mask)]!;
        if (head >= this.size) return this.break('ERR_VIRTQ_HEAD', `head ${head} in a ring of ${this.size} entries`);
        if (this.heads[head] !== IDLE) return this.break('ERR_VIRTQ_HEAD', `head ${head} is in flight`);
      }
      const chain = this.emptyChain();
      const verdict = this.reader.read(ring.desc, head, chain);
      if (verdict === BROKEN) return this.fail(this.reader.error!, chain);
      if (again) {
        this.left--;
        chain.sequence = BEFORE_ALL;
      } else {
        this.#nextAvail = (this.#nextAvail + 1) & 0xffff;
        chain.sequence = ++this.taken;
        if (this.#inflight !== null) this.#inflight.take(head);
      }
      chain.again = again;
      this.lend(chain);
      if (verdict === OK) return chain;
      descriptors += this.reader.visited;
      this.refuse(chain);
      if (!this.usable()) return null;
    }
    return this.break('ERR_VIRTQ_BUFFER', 'nothing but bad chains: over 4096 of them, or 2^20 descriptors');
  }

  takeBack(head: number): Chain | null {
    if (!this.#isOut(head) || !this.usable()) return null;
    const chain = this.emptyChain();
    const verdict = this.reader.read(this.ring.desc, head, chain);
    if (verdict === BROKEN) return this.fail(this.reader.error!, chain);
    if (this.#inflight !== null) this.left--;
    chain.sequence = BEFORE_ALL;
    chain.again = false;
    this.lend(chain);
    return verdict === OK ? chain : this.refuse(chain);
  }

  abandonKept(): void {
    for (let head = 0; head < this.size; head++) {
      if (this.heads[head] !== HEAD_KEPT) continue;
      this.heads[head] = HEAD_IDLE;
      if (this.usable()) this.giveBack(head, 1, 0);
    }
  }

  protected untake({ head }: PooledChain): void {
    this.#inflight?.untake(head);
    this.#nextAvail = (this.#nextAvail - 1) & 0xffff;
  }

  /** The store is a full barrier. */
  protected enableKicks(): boolean {
    if (this.eventIdx) {
      if (this.#availEvent === this.#nextAvail) return false;
      this.#availEvent = this.#nextAvail;
      Atomics.store(this.ring.used, this.#availEventAt, this.#nextAvail);
      if (this.dirty !== null) this.#markUsed(this.dirty, this.#availEventAt * 2, 2);
      return true;
    }
    if (this.#kicks === KICKS_ON) return false;
    this.#kicks = KICKS_ON;
    this.#storeFlags(0);
    return true;
  }

  protected leaveKicks(): void {
    if (this.#kicks === KICKS_OFF && this.usable()) this.#storeFlags(0);
  }

  /** Writes a used element, then used.idx. */
  protected publish(head: number, _slots: number, written: number): void {
    const { ring } = this;
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
    this.published();
  }

  protected announce(): void {
    const { avail } = this.ring;
    const before = this.#announced;
    const now = this.#usedIdx;
    this.#announced = now;
    this.unannounced = 0;
    // The load follows the store of used.idx: both are sequentially consistent, which is the barrier needed here.
    if (this.eventIdx) {
      const event = Atomics.load(avail, this.#usedEventAt);
      this.decided(before === -1 || ((now - event - 1) & 0xffff) < ((now - before) & 0xffff));
    } else {
      this.decided((Atomics.load(avail, FLAGS) & VRING_AVAIL_F_NO_INTERRUPT) === 0);
    }
  }

  /**
   * Looks at avail.idx; when nothing is there, calls the driver for what is done, asks for a kick and looks again.
   * @returns true when there are chains
   */
  #refill(): boolean {
    const { avail } = this.ring;
    let idx = Atomics.load(avail, IDX);
    if (idx === this.#nextAvail && this.unannounced !== 0) {
      // Call first: a driver on this core answers at once, and as it was not told to kick yet, it saves that too.
      this.announce();
      idx = Atomics.load(avail, IDX);
    }
    if (idx === this.#nextAvail) {
      if (this.quiet || !this.enableKicks()) return false;
      idx = Atomics.load(avail, IDX);
      if (idx === this.#nextAvail) return false;
    }
    const { inFlight, held, size } = this;
    const ahead = (idx - this.#nextAvail) & 0xffff;
    if (ahead + inFlight + held > size) {
      const detail = `avail.idx ${idx} is ${ahead} ahead, ${inFlight} in flight, in a ring of ${size} entries`;
      this.break('ERR_VIRTQ_INDEX', detail);
      return false;
    }
    this.#availIdx = idx;
    if (!this.eventIdx && this.#kicks !== KICKS_OFF) {
      this.#kicks = KICKS_OFF;
      this.#storeFlags(VRING_USED_F_NO_NOTIFY);
    }
    return true;
  }

  #storeFlags(flags: number): void {
    Atomics.store(this.ring.used, FLAGS, flags);
    if (this.dirty !== null) this.#markUsed(this.dirty, 0, 2);
  }

  #markUsed(dirty: DirtyLog, offset: number, len: number): void {
    dirty.markRingAt(this.ring.usedGpa + offset, len);
  }

  /** True when the driver waits for this head, and no chain was made of it yet. */
  #isOut(head: number): boolean {
    if (this.#inflight !== null) return this.heads[head] === HEAD_LEFT;
    // What is no index of the ring is not idle either.
    return this.heads[head] === HEAD_IDLE && this.outstanding > this.inFlight + this.held;
  }

  /** The oldest head that the device before left in flight; there is one. */
  #nextLeft(): number {
    const { heads } = this.#inflight!;
    while (this.heads[heads[this.#leftAt]!] !== HEAD_LEFT) this.#leftAt++;
    return heads[this.#leftAt]!;
  }

  /** What the queue before this one left, in its order. */
  #rememberOrder(order: CompletionOrder, kept: readonly KeptChain[]): void {
    if (kept.length > this.outstanding || kept.length > this.size) return;
    for (const { head, written } of kept) {
      if (head >= this.size || order.has(head)) continue;
      order.add(head, 1, written);
      if (written >= 0) this.heads[head] = HEAD_HELD;
    }
  }

  /** What the device before this one left in flight; of those that it had completed, `kept` knows. */
  #recover(inflight: SplitInflight, kept: readonly KeptChain[]): void {
    const written = new Map(kept.map((chain) => [chain.head, chain.written]));
    this.#nextAvail = (this.#usedIdx + inflight.heads.length) & 0xffff;
    for (const head of inflight.heads) {
      const done = this.order === null ? -1 : (written.get(head) ?? -1);
      this.order?.add(head, 1, done);
      this.heads[head] = done < 0 ? HEAD_LEFT : HEAD_HELD;
      if (done < 0) this.left++;
    }
    // A kill between the last store to the ring and its mark: what is marked twice costs nothing.
    if (inflight.recovered && this.dirty !== null) this.#markUsed(this.dirty, 0, this.ring.usedBytes);
  }
}
