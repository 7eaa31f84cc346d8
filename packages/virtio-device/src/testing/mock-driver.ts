/** The driver's end of one queue: buffers, chains, kicks and what came back, in memory shared with the device. */
import { RangeAllocator } from '@oriel/shm-region';
import {
  type DriverBuffer,
  type DriverConfig,
  layoutPackedRing,
  layoutSplitRing,
  PACKED_RING_START,
  PackedDriver,
  type RingDriver,
  SplitDriver,
  VirtqAvail,
  VirtqDesc,
  VRING_DESC_ALIGN_SIZE,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
} from '@oriel/virtqueue';

/** A chain that the device returned. */
export interface DriverReply {
  readonly head: number;
  /** Bytes that the device says it wrote. */
  readonly written: number;
  /** The writable buffers, whole, one after the other. */
  readonly bytes: Uint8Array;
}

/** Guest memory as the driver has it: a `TestMemory`, or the RAM of a `MockFrontend`. */
export interface DriverMemory {
  readonly u8: Uint8Array;
  /** GPA of its first byte. */
  readonly gpa: number;
}

/** Where a driver's ring and buffers lie. */
export interface DriverPlace {
  readonly memory: DriverMemory;
  /** Area of this driver: GPA and bytes. */
  readonly gpa: number;
  readonly len: number;
  /** Entries of the ring. */
  readonly size: number;
  readonly eventIdx: boolean;
  /** A packed ring; default false. */
  readonly packed?: boolean;
  /** IN_ORDER was accepted; default false. */
  readonly inOrder?: boolean;
  /** INDIRECT_DESC was accepted: chains of several buffers go into tables; default false. */
  readonly indirect?: boolean;
  /** Called for a kick. */
  readonly kick: () => void;
}

interface Sent {
  readonly buffers: readonly DriverBuffer[];
  readonly places: readonly { readonly offset: number; readonly len: number }[];
}

const BUFFER_ALIGN = 64;
/** Entries of an indirect table. */
const MAX_INDIRECT = 16;
const PAGE = 4096;

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** Sends chains and takes them back. */
export class MockDriver {
  /** GPAs of the ring's parts; of a packed one: descriptor ring, driver area, device area. */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly size: number;
  /** The base of the ring when it is new. */
  readonly start: number;
  readonly #place: DriverPlace;
  readonly #ring: RingDriver;
  readonly #buffersGpa: number;
  readonly #allocator: RangeAllocator;
  readonly #sent = new Map<number, Sent>();

  /** Clears the ring: a driver that starts afresh. */
  constructor(place: DriverPlace) {
    const { memory, gpa, len, size } = place;
    const { packed = false, indirect = false } = place;
    const layout = packed ? layoutPackedRing(size) : layoutSplitRing(size);
    const tables = roundUp(layout.total, VRING_DESC_ALIGN_SIZE);
    const ringBytes = roundUp(tables + (indirect ? size * MAX_INDIRECT * VirtqDesc.byteLength : 0), PAGE);
    this.#place = place;
    this.#bytes(gpa, ringBytes).fill(0);
    this.size = size;
    this.desc = gpa + layout.desc;
    this.avail = gpa + layout.avail;
    this.used = gpa + layout.used;
    this.#buffersGpa = gpa + ringBytes;
    this.#allocator = new RangeAllocator(len - ringBytes, BUFFER_ALIGN);
    this.start = packed ? PACKED_RING_START : 0;
    const config: DriverConfig = {
      memory: memory.u8,
      memoryGpa: memory.gpa,
      size,
      desc: this.desc,
      avail: this.avail,
      used: this.used,
      eventIdx: place.eventIdx,
      inOrder: place.inOrder ?? false,
      indirectTables: indirect ? gpa + tables : -1,
      maxIndirect: indirect ? MAX_INDIRECT : 0,
      kick: place.kick,
    };
    this.#ring = packed ? new PackedDriver(config) : new SplitDriver(config);
    this.#ring.enableCalls();
  }

  /** Chains that the device has not returned. */
  get outstanding(): number {
    return this.#sent.size;
  }

  /**
   * Makes a chain of buffers, publishes it and kicks.
   * @param readable - contents of the readable buffers
   * @param writable - lengths of the writable ones, which are filled with 0xEE first
   * @returns the head
   * @throws RangeError when there is no room
   */
  send(readable: readonly Uint8Array[], writable: readonly number[] = []): number {
    const buffers: DriverBuffer[] = [];
    const places: { offset: number; len: number }[] = [];
    const place = (len: number): Uint8Array => {
      const rounded = roundUp(Math.max(len, 1), BUFFER_ALIGN);
      const offset = this.#allocator.allocate(rounded);
      if (offset < 0) {
        throw new RangeError(`no room for ${len} bytes`);
      }
      places.push({ offset, len: rounded });
      buffers.push({ gpa: this.#buffersGpa + offset, len, writable: buffers.length >= readable.length });
      return this.#bytes(this.#buffersGpa + offset, len);
    };
    for (const bytes of readable) {
      place(bytes.length).set(bytes);
    }
    for (const len of writable) {
      place(len).fill(0xee);
    }
    return this.#publish(buffers, places);
  }

  /** Publishes a chain of any buffers, also such as no honest driver would send, and kicks. @returns the head */
  sendRaw(buffers: readonly DriverBuffer[]): number {
    return this.#publish(buffers, []);
  }

  /**
   * Breaks the ring for good, and kicks: avail.idx further ahead than the ring has entries; in a packed ring, where nothing may
   * be in flight, a table with a next descriptor.
   */
  breakRing(): void {
    if (this.#place.packed === true) {
      this.#ring.add([{ gpa: this.#buffersGpa, len: 16, writable: false }]);
      const { buffer, byteOffset } = this.#bytes(this.desc, this.size * 16);
      const words = new Uint16Array(buffer, byteOffset, this.size * 8);
      this.#ring.publish();
      // Whichever it was: all of them.
      for (let flags = 7; flags < words.length; flags += 8) {
        words[flags]! |= VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT;
      }
    } else {
      const { buffer, byteOffset } = this.#bytes(this.avail, VirtqAvail.byteLength);
      const view = new DataView(buffer, byteOffset);
      VirtqAvail.idx.set(view, 0, (VirtqAvail.idx.get(view, 0) + this.size + 1) & 0xffff);
    }
    this.#place.kick();
  }

  /** Takes back one chain, or null. */
  take(): DriverReply | null {
    if (!this.#ring.takeUsed()) {
      return null;
    }
    const { usedHead: head, usedLen: written } = this.#ring;
    this.#ring.enableCalls();
    const sent = this.#sent.get(head);
    if (sent === undefined) {
      throw new RangeError(`the device returned chain ${head}, which it did not have`);
    }
    this.#sent.delete(head);
    const writable = sent.places.length === 0 ? [] : sent.buffers.filter((buffer) => buffer.writable);
    const bytes = new Uint8Array(writable.reduce((sum, buffer) => sum + buffer.len, 0));
    let at = 0;
    for (const { gpa, len } of writable) {
      bytes.set(this.#bytes(gpa, len), at);
      at += len;
    }
    for (const { offset, len } of sent.places) {
      this.#allocator.release(offset, len);
    }
    return { head, written, bytes };
  }

  #bytes(gpa: number, len: number): Uint8Array {
    const { memory } = this.#place;
    const offset = gpa - memory.gpa;
    if (offset < 0 || offset + len > memory.u8.length) {
      throw new RangeError(`gpa ${gpa}, ${len} bytes: not in this memory`);
    }
    return memory.u8.subarray(offset, offset + len);
  }

  #publish(buffers: readonly DriverBuffer[], places: Sent['places']): number {
    const head = this.#ring.add(buffers);
    if (head < 0) {
      throw new RangeError('the ring is full');
    }
    this.#sent.set(head, { buffers, places });
    this.#ring.publish();
    return head;
  }
}
