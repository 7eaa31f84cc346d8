/** The packed ring, driver side. */
import { TWO_32 } from '@oriel/layout';
import { VirtqueueError } from './errors.ts';
import {
  VirtqPackedDesc,
  VirtqPackedEvent,
  VRING_DESC_ALIGN_SIZE,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_PACKED_DESC_F_AVAIL,
  VRING_PACKED_DESC_F_USED,
  VRING_PACKED_EVENT_ALIGN_SIZE,
  VRING_PACKED_EVENT_FLAG_DESC,
  VRING_PACKED_EVENT_FLAG_DISABLE,
  VRING_PACKED_EVENT_FLAG_ENABLE,
} from './layout.ts';
import { eventPassed, lapPosition } from './packed-ring.ts';
import { checkChain, type DriverBuffer, type DriverConfig, type RingDriver, takePart } from './ring-driver.ts';
import { isPackedRingSize } from './ring-size.ts';

const AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL;
const USED = 1 << VRING_PACKED_DESC_F_USED;
const ENABLE = VRING_PACKED_EVENT_FLAG_ENABLE << 16;
const DISABLE = VRING_PACKED_EVENT_FLAG_DISABLE << 16;
const AT_DESC = VRING_PACKED_EVENT_FLAG_DESC << 16;
const WRAP = 0x8000;
/** No id, no word. */
const NONE = -1;

/**
 * The packed ring, driver side (VIRTIO 1.3, 2.8): builds chains (direct or indirect), kicks, reads used descriptors.
 * Memory is the driver's own (a shared memfd mapped in this process).
 */
export class PackedDriver implements RingDriver {
  readonly size: number;
  usedHead = 0;
  usedLen = 0;
  readonly #config: DriverConfig;
  readonly #inOrder: boolean;
  readonly #desc: Uint32Array;
  readonly #driver: Uint32Array;
  readonly #device: Uint32Array;
  /** All indirect tables, one for each id; empty without. */
  readonly #tables: Uint32Array;
  /** Ids at rest; the last one is used next. */
  readonly #ids: number[];
  /** Of each id in flight: descriptors in the ring (0: at rest), and bytes that the device may write. */
  readonly #slots: Uint16Array;
  readonly #room: Float64Array;
  /** Ids in flight, oldest first. */
  readonly #sent: number[] = [];
  #nextAvail = 0;
  #availWrap = WRAP;
  #nextUsed = 0;
  #usedWrap = WRAP;
  #freeCount: number;
  /** The word that makes the chains available that were added last, and where it goes: their first flags. */
  #firstAt = NONE;
  #firstWord = 0;
  /** Descriptors added and not published. */
  #added = 0;
  /** The id that the device named for a batch that it used (IN_ORDER), and the length with it. */
  #batchEnd = NONE;
  #batchLen = 0;

  /** Zeroes the ring. @throws RangeError when a part is misaligned or leaves the memory */
  constructor(config: DriverConfig) {
    const { memory, size } = config;
    const { buffer } = memory;
    if (!isPackedRingSize(size)) throw new RangeError(`ring size ${size}, want 1 to 32768`);
    const part = (gpa: number, len: number, align: number): Uint32Array =>
      new Uint32Array(buffer, takePart(config, gpa, len, align), len / 4);
    const tables = config.indirectTables < 0 ? 0 : size * config.maxIndirect;
    this.size = size;
    this.#config = config;
    this.#inOrder = config.inOrder === true;
    this.#desc = part(config.desc, size * VirtqPackedDesc.byteLength, VRING_DESC_ALIGN_SIZE);
    this.#driver = part(config.avail, VirtqPackedEvent.byteLength, VRING_PACKED_EVENT_ALIGN_SIZE);
    this.#device = part(config.used, VirtqPackedEvent.byteLength, VRING_PACKED_EVENT_ALIGN_SIZE);
    this.#tables =
      tables === 0
        ? new Uint32Array(0)
        : part(config.indirectTables, tables * VirtqPackedDesc.byteLength, VRING_DESC_ALIGN_SIZE);
    this.#ids = Array.from({ length: size }, (_, i) => size - 1 - i);
    this.#slots = new Uint16Array(size);
    this.#room = new Float64Array(size);
    this.#freeCount = size;
  }

  get freeDescriptors(): number {
    return this.#freeCount;
  }

  get inFlight(): number {
    return this.size - this.#ids.length;
  }

  add(buffers: readonly DriverBuffer[], count = buffers.length): number {
    checkChain(buffers, count);
    const entries = this.#config.maxIndirect;
    const indirect = count > 1 && this.#tables.length !== 0 && count <= entries;
    const needed = indirect ? 1 : count;
    if (needed > this.#freeCount) return -1;
    const id = this.#ids.pop()!;
    let room = 0;
    for (let i = 0; i < count; i++) {
      const { gpa, len, writable } = buffers[i]!;
      const write = writable ? VRING_DESC_F_WRITE : 0;
      if (writable) room += len;
      if (indirect) {
        const at = (id * entries + i) * 4;
        writeBuffer(this.#tables, at, gpa, len);
        this.#tables[at + 3] = write << 16;
      } else {
        this.#put(id, gpa, len, write | (i + 1 < count ? VRING_DESC_F_NEXT : 0));
      }
    }
    if (indirect) {
      const { byteLength } = VirtqPackedDesc;
      const gpa = this.#config.indirectTables + id * entries * byteLength;
      this.#put(id, gpa, count * byteLength, VRING_DESC_F_INDIRECT);
    }
    this.#slots[id] = needed;
    this.#room[id] = room;
    this.#freeCount -= needed;
    if (this.#inOrder) this.#sent.push(id);
    return id;
  }

  publish(): void {
    const added = this.#added;
    if (added === 0) return;
    // All that was added stands behind this one descriptor: the device sees none of it earlier.
    Atomics.store(this.#desc, this.#firstAt, this.#firstWord);
    this.#firstAt = NONE;
    this.#added = 0;
    // The store above is the barrier between the flags and the look at what the device asks for.
    const word = Atomics.load(this.#device, 0);
    const flags = word & (3 << 16);
    let wanted = flags !== DISABLE;
    if (flags === AT_DESC && this.#config.eventIdx) {
      const now = lapPosition(this.#nextAvail | this.#availWrap, this.size);
      wanted = eventPassed(word & 0xffff, now, added, this.size);
    }
    if (wanted) this.#config.kick();
  }

  takeUsed(): boolean {
    if (this.#batchEnd === NONE) {
      const at = this.#nextUsed << 2;
      if (!this.#isUsed()) return false;
      const id = Atomics.load(this.#desc, at + 3) & 0xffff;
      if (id >= this.size || this.#slots[id] === 0) {
        throw new VirtqueueError('ERR_VIRTQ_USED', 'host', `used descriptor for id ${id}, not in flight`, { head: id });
      }
      // Without WRITE the length says nothing (2.8.5), but QEMU never sets it, and Linux reads the length all the same.
      const len = this.#desc[at + 2]!;
      if (!this.#inOrder) {
        this.#finish(id, len);
        return true;
      }
      this.#batchEnd = id;
      this.#batchLen = len;
    }
    const id = this.#sent.shift()!;
    const last = id === this.#batchEnd;
    // What the device skipped it used as a whole (2.8.11).
    this.#finish(id, last ? this.#batchLen : this.#room[id]!);
    if (last) this.#batchEnd = NONE;
    return true;
  }

  enableCalls(): boolean {
    const word = this.#config.eventIdx ? AT_DESC | this.#usedWrap | this.#nextUsed : ENABLE;
    Atomics.store(this.#driver, 0, word);
    return this.#batchEnd !== NONE || this.#isUsed();
  }

  disableCalls(): void {
    Atomics.store(this.#driver, 0, DISABLE);
  }

  #isUsed(): boolean {
    const flags = (Atomics.load(this.#desc, (this.#nextUsed << 2) + 3) >>> 16) & (AVAIL | USED);
    return flags === (this.#usedWrap === 0 ? 0 : AVAIL | USED);
  }

  /** Writes the next descriptor of the ring. */
  #put(id: number, gpa: number, len: number, flags: number): void {
    const at = this.#nextAvail << 2;
    const word = (id | ((flags | (this.#availWrap === 0 ? USED : AVAIL)) << 16)) >>> 0;
    writeBuffer(this.#desc, at, gpa, len);
    if (this.#firstAt === NONE) {
      this.#firstAt = at + 3;
      this.#firstWord = word;
    } else {
      this.#desc[at + 3] = word;
    }
    this.#added++;
    this.#nextAvail++;
    if (this.#nextAvail === this.size) {
      this.#nextAvail = 0;
      this.#availWrap ^= WRAP;
    }
  }

  #finish(id: number, len: number): void {
    const slots = this.#slots[id]!;
    this.#slots[id] = 0;
    this.#ids.push(id);
    this.#freeCount += slots;
    this.#nextUsed += slots;
    if (this.#nextUsed >= this.size) {
      this.#nextUsed -= this.size;
      this.#usedWrap ^= WRAP;
    }
    this.usedHead = id;
    this.usedLen = len;
  }
}

function writeBuffer(words: Uint32Array, at: number, gpa: number, len: number): void {
  words[at] = gpa;
  words[at + 1] = gpa / TWO_32;
  words[at + 2] = len;
}
