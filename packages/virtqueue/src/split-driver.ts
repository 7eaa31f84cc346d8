/** The split ring, driver side. */
import { TWO_32 } from '@oriel/layout';
import { VirtqueueError } from './errors.ts';
import {
  VirtqDesc,
  VirtqUsed,
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_USED_F_NO_NOTIFY,
} from './layout.ts';
import { checkChain, type DriverBuffer, type DriverConfig, type RingDriver, takePart } from './ring-driver.ts';
import { isRingSize, ringBytes } from './ring-size.ts';
import { AVAIL_HEADS, availEventAt, RING_FLAGS, RING_IDX, usedEventAt } from './split-ring.ts';

/** How a split ring's driver is set up. */
export type SplitDriverConfig = DriverConfig;

/** No descriptor. */
const END = 0xffff;
/** No batch. */
const NONE = -1;

/**
 * The split ring, driver side (VIRTIO 1.3, 2.7): builds chains (direct or indirect), kicks, reads used entries, in
 * EVENT_IDX or flag mode. Memory is the driver's own (a shared memfd mapped in this process).
 */
export class SplitDriver implements RingDriver {
  readonly size: number;
  usedHead = 0;
  usedLen = 0;
  readonly #config: SplitDriverConfig;
  readonly #mask: number;
  readonly #desc: Uint32Array;
  readonly #avail: Uint16Array;
  readonly #used: Uint16Array;
  readonly #usedElems: Uint32Array;
  /** All indirect tables, one for each head; empty without. */
  readonly #tables: Uint32Array;
  /** Free descriptors and the rest of each chain in flight, linked: the ring's own links belong to the device too. */
  readonly #next: Uint16Array;
  /** Descriptors of the chain in flight at a head; 0 when there is none. */
  readonly #length: Uint16Array;
  /** Descriptors of the chain that `prepare` keeps at a head; 0 when there is none. */
  readonly #kept: Uint16Array;
  #free = 0;
  /** The descriptor that is used last of all free ones; counts with IN_ORDER. */
  #lastFree: number;
  #freeCount: number;
  #availIdx = 0;
  #published = 0;
  #lastUsed = 0;
  readonly #inOrder: boolean;
  /** With IN_ORDER: heads in flight, oldest first; bytes that the device may write into each; a batch that it used. */
  readonly #sent: number[] = [];
  readonly #room: Float64Array;
  #batchEnd = NONE;
  #batchLen = 0;

  /** Zeroes the ring. @throws RangeError when a part is misaligned or leaves the memory */
  constructor(config: SplitDriverConfig) {
    const { memory, size } = config;
    if (!isRingSize(size)) throw new RangeError(`ring size ${size}, want a power of two from 1 to 32768`);
    const bytes = ringBytes(size, true);
    const at = (gpa: number, len: number, align: number): number => takePart(config, gpa, len, align);
    const usedOffset = at(config.used, bytes.used, 4);
    const tables = config.indirectTables < 0 ? 0 : size * config.maxIndirect;
    this.size = size;
    this.#config = config;
    this.#mask = size - 1;
    this.#desc = new Uint32Array(memory.buffer, at(config.desc, bytes.desc, 16), size * 4);
    this.#avail = new Uint16Array(memory.buffer, at(config.avail, bytes.avail, 2), bytes.avail / 2);
    this.#used = new Uint16Array(memory.buffer, usedOffset, bytes.used / 2);
    this.#usedElems = new Uint32Array(memory.buffer, usedOffset + VirtqUsed.byteLength, size * 2);
    this.#tables =
      tables === 0
        ? new Uint32Array(0)
        : new Uint32Array(memory.buffer, at(config.indirectTables, tables * VirtqDesc.byteLength, 16), tables * 4);
    this.#next = Uint16Array.from({ length: size }, (_, i) => (i + 1 < size ? i + 1 : END));
    this.#length = new Uint16Array(size);
    this.#kept = new Uint16Array(size);
    this.#freeCount = size;
    this.#lastFree = size - 1;
    this.#inOrder = config.inOrder === true;
    this.#room = new Float64Array(this.#inOrder ? size : 0);
  }

  get freeDescriptors(): number {
    return this.#freeCount;
  }

  get inFlight(): number {
    return (this.#availIdx - this.#lastUsed) & 0xffff;
  }

  add(buffers: readonly DriverBuffer[], count = buffers.length): number {
    const before = this.#freeCount;
    const head = this.#place(buffers, count);
    if (head < 0) return head;
    this.#offer(head, before - this.#freeCount);
    if (this.#inOrder) this.#remember(head, buffers, count);
    return head;
  }

  /**
   * Puts a chain together as `add` does, once, for `addPrepared` to put into the ring as often as wanted: a driver that
   * sends the same buffers again and again writes no descriptors. The descriptors stay taken.
   * @returns its head, or -1 when there is no room
   * @throws RangeError as `add`, and with IN_ORDER, where descriptors are used in the order of the table (2.7.9)
   */
  prepare(buffers: readonly DriverBuffer[]): number {
    if (this.#inOrder) throw new RangeError('no chain can be prepared with IN_ORDER');
    const before = this.#freeCount;
    const head = this.#place(buffers, buffers.length);
    if (head >= 0) this.#kept[head] = before - this.#freeCount;
    return head;
  }

  /**
   * Puts a prepared chain into the ring without publishing.
   * @throws RangeError when nothing was prepared at `head`, or it is in flight
   */
  addPrepared(head: number): void {
    const length = this.#kept[head];
    if (!length || this.#length[head] !== 0) throw new RangeError(`no prepared chain at rest at head ${head}`);
    this.#offer(head, length);
  }

  publish(): void {
    const before = this.#published;
    const now = this.#availIdx;
    if (before === now) return;
    this.#published = now;
    Atomics.store(this.#avail, RING_IDX, now);
    // The store above is the barrier between the index and the look at what the device asks for.
    const wanted = this.#config.eventIdx
      ? ((now - Atomics.load(this.#used, availEventAt(this.size)) - 1) & 0xffff) < ((now - before) & 0xffff)
      : (Atomics.load(this.#used, RING_FLAGS) & VRING_USED_F_NO_NOTIFY) === 0;
    if (wanted) this.#config.kick();
  }

  takeUsed(): boolean {
    if (this.#batchEnd === NONE) {
      if (Atomics.load(this.#used, RING_IDX) === this.#lastUsed) return false;
      const at = (this.#lastUsed & this.#mask) * 2;
      const head = this.#usedElems[at]!;
      const len = this.#usedElems[at + 1]!;
      if (head >= this.size || this.#length[head] === 0)
        throw new VirtqueueError('ERR_VIRTQ_USED', 'host', `used entry for head ${head}, not in flight`, { head });
      if (!this.#inOrder) {
        this.#finish(head, len);
        return true;
      }
      this.#batchEnd = head;
      this.#batchLen = len;
    }
    const head = this.#sent.shift()!;
    const last = head === this.#batchEnd;
    // What the device skipped it used as a whole (2.7.9).
    this.#finish(head, last ? this.#batchLen : this.#room[head]!);
    if (last) this.#batchEnd = NONE;
    return true;
  }

  enableCalls(): boolean {
    if (this.#config.eventIdx) Atomics.store(this.#avail, usedEventAt(this.size), this.#lastUsed);
    else Atomics.store(this.#avail, RING_FLAGS, 0);
    return this.#batchEnd !== NONE || Atomics.load(this.#used, RING_IDX) !== this.#lastUsed;
  }

  disableCalls(): void {
    if (this.#config.eventIdx) Atomics.store(this.#avail, usedEventAt(this.size), (this.#lastUsed - 1) & 0xffff);
    else Atomics.store(this.#avail, RING_FLAGS, VRING_AVAIL_F_NO_INTERRUPT);
  }

  /** Takes descriptors and writes a chain into them. @returns its head, or -1 */
  #place(buffers: readonly DriverBuffer[], count: number): number {
    checkChain(buffers, count);
    const indirect = count > 1 && this.#tables.length !== 0 && count <= this.#config.maxIndirect;
    const needed = indirect ? 1 : count;
    if (needed > this.#freeCount) return -1;
    const head = this.#free;
    let index = head;
    if (indirect) {
      const entries = this.#config.maxIndirect;
      for (let i = 0; i < count; i++) {
        writeDescriptor(this.#tables, head * entries + i, buffers[i]!, i + 1 < count ? i + 1 : END);
      }
      const gpa = this.#config.indirectTables + head * entries * VirtqDesc.byteLength;
      writeWords(this.#desc, head, gpa, count * VirtqDesc.byteLength, VRING_DESC_F_INDIRECT, 0);
      index = this.#next[head]!;
    } else {
      for (let i = 0; i < count; i++) {
        const next = this.#next[index]!;
        writeDescriptor(this.#desc, index, buffers[i]!, i + 1 < count ? next : END);
        index = next;
      }
    }
    this.#free = index;
    this.#freeCount -= needed;
    return head;
  }

  #offer(head: number, length: number): void {
    this.#length[head] = length;
    this.#avail[AVAIL_HEADS + (this.#availIdx & this.#mask)] = head;
    this.#availIdx = (this.#availIdx + 1) & 0xffff;
  }

  #finish(head: number, len: number): void {
    if (this.#kept[head] === 0) this.#release(head, this.#length[head]!);
    this.#length[head] = 0;
    this.#lastUsed = (this.#lastUsed + 1) & 0xffff;
    this.usedHead = head;
    this.usedLen = len;
  }

  #remember(head: number, buffers: readonly DriverBuffer[], count: number): void {
    let room = 0;
    for (let i = 0; i < count; i++) if (buffers[i]!.writable) room += buffers[i]!.len;
    this.#room[head] = room;
    this.#sent.push(head);
  }

  #release(head: number, length: number): void {
    let last = head;
    for (let i = 1; i < length; i++) last = this.#next[last]!;
    if (this.#inOrder && this.#freeCount > 0) {
      // Behind all others: the table is used from its start to its end, again and again.
      this.#next[last] = END;
      this.#next[this.#lastFree] = head;
    } else {
      this.#next[last] = this.#free;
      this.#free = head;
    }
    this.#lastFree = last;
    this.#freeCount += length;
  }
}

function writeDescriptor(words: Uint32Array, index: number, buffer: DriverBuffer, next: number): void {
  const flags = (buffer.writable ? VRING_DESC_F_WRITE : 0) | (next === END ? 0 : VRING_DESC_F_NEXT);
  writeWords(words, index, buffer.gpa, buffer.len, flags, next === END ? 0 : next);
}

function writeWords(words: Uint32Array, index: number, gpa: number, len: number, flags: number, next: number): void {
  const at = index * 4;
  words[at] = gpa;
  words[at + 1] = gpa / TWO_32;
  words[at + 2] = len;
  words[at + 3] = flags | (next << 16);
}
