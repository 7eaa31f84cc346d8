/** One queue of a `MockDriver`: byte arrays in, byte arrays out. */
import type { GuestMemory } from '@oriel/guest-memory';
import type { TestMemory } from '@oriel/guest-memory/testing';
import type { VirtqueueError } from '../errors.ts';
import { VirtqDesc } from '../layout.ts';
import { PackedDriver } from '../packed-driver.ts';
import { PackedQueue } from '../packed-queue.ts';
import { PACKED_RING_START } from '../packed-ring.ts';
import type { QueueConfig, RingQueue } from '../queue.ts';
import type { DriverBuffer, DriverConfig, RingDriver } from '../ring-driver.ts';
import { layoutPackedRing, layoutSplitRing } from '../ring-size.ts';
import { SplitDriver } from '../split-driver.ts';
import { SplitQueue } from '../split-queue.ts';
import type { RamAllocator } from './ram-allocator.ts';

/** A chain that the device returned. */
export interface Reply {
  /** What `send` returned. */
  readonly head: number;
  /** Bytes that the device says it wrote. */
  readonly written: number;
  /** The writable buffers, copied whole. */
  readonly buffers: readonly Uint8Array[];
  /** The first `written` bytes of the writable buffers, joined. */
  readonly data: Uint8Array;
}

/** What a queue of the mock driver is made of. */
export interface MockQueueParts {
  readonly index: number;
  readonly size: number;
  readonly packed: boolean;
  readonly inOrder: boolean;
  readonly eventIdx: boolean;
  readonly indirect: boolean;
  readonly maxIndirect: number;
  readonly ram: TestMemory;
  readonly memory: GuestMemory;
  readonly allocator: RamAllocator;
}

/** Sends chains on one ring in guest RAM, and collects what comes back. */
export class MockQueue {
  readonly index: number;
  readonly size: number;
  /** GPAs of the ring's parts; of a packed one: descriptor ring, driver area, device area. */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly driver: RingDriver;
  /** Kicks sent by the driver, calls received from a queue made by `openDevice`, and the errors that it reported. */
  kicks = 0;
  calls = 0;
  readonly errors: VirtqueueError[] = [];
  /** Called at each kick: a place to run the device. */
  onKick: (() => void) | undefined;
  /** Called at each call. */
  onCall: (() => void) | undefined;
  readonly #parts: MockQueueParts;
  readonly #sent = new Map<number, readonly DriverBuffer[]>();

  constructor(parts: MockQueueParts) {
    const { size, ram, allocator, packed, inOrder, eventIdx, indirect, maxIndirect } = parts;
    const layout = packed ? layoutPackedRing(size) : layoutSplitRing(size);
    const ring = allocator.allocate(layout.total, 4096);
    this.#parts = parts;
    this.index = parts.index;
    this.size = size;
    this.desc = ring + layout.desc;
    this.avail = ring + layout.avail;
    this.used = ring + layout.used;
    const config: DriverConfig = {
      memory: ram.u8,
      memoryGpa: ram.gpa,
      size,
      desc: this.desc,
      avail: this.avail,
      used: this.used,
      eventIdx,
      inOrder,
      indirectTables: indirect ? allocator.allocate(size * maxIndirect * VirtqDesc.byteLength) : -1,
      maxIndirect,
      kick: () => {
        this.kicks++;
        this.onKick?.();
      },
    };
    this.driver = packed ? new PackedDriver(config) : new SplitDriver(config);
  }

  /** Set-up of a device queue over this ring, with user addresses as a front-end would give them. */
  config(overrides: Partial<QueueConfig> = {}): QueueConfig {
    const { ram, packed, inOrder, eventIdx, indirect } = this.#parts;
    return {
      index: this.index,
      size: this.size,
      desc: ram.userOf(this.desc),
      avail: ram.userOf(this.avail),
      used: ram.userOf(this.used),
      addressSpace: 'user',
      base: packed ? PACKED_RING_START : 0,
      inOrder,
      eventIdx,
      indirect,
      call: () => {
        this.calls++;
        this.onCall?.();
      },
      onError: (error) => this.errors.push(error),
      ...overrides,
    };
  }

  /** The device's end of this queue, in this process. */
  openDevice(overrides: Partial<QueueConfig> = {}): RingQueue {
    const { memory, packed } = this.#parts;
    const config = this.config(overrides);
    return packed ? new PackedQueue(memory, config) : new SplitQueue(memory, config);
  }

  /**
   * Puts one chain into the ring and publishes it.
   * @param readable - copied into guest RAM, a buffer each
   * @param writable - sizes of the buffers that the device may write
   * @returns the chain's head
   * @throws RangeError when the ring or the RAM is full
   */
  send(readable: readonly Uint8Array[], writable: readonly number[] = []): number {
    const head = this.post(readable, writable);
    this.driver.publish();
    return head;
  }

  /** As `send`, without publishing: `driver.publish()` does that for several at once. */
  post(readable: readonly Uint8Array[], writable: readonly number[] = []): number {
    const { ram, allocator } = this.#parts;
    const buffers: DriverBuffer[] = [];
    for (const bytes of readable) {
      const gpa = allocator.allocate(bytes.length);
      ram.at(gpa, bytes.length).set(bytes);
      buffers.push({ gpa, len: bytes.length, writable: false });
    }
    for (const len of writable) {
      const gpa = allocator.allocate(len);
      ram.at(gpa, len).fill(0);
      buffers.push({ gpa, len, writable: true });
    }
    const head = this.driver.add(buffers);
    if (head < 0) {
      this.#free(buffers);
      throw new RangeError(`queue ${this.index}: the ring of ${this.size} entries is full`);
    }
    this.#sent.set(head, buffers);
    return head;
  }

  /** The next chain that the device returned; null when there is none, and then the driver asks for a call. */
  receive(): Reply | null {
    if (!this.driver.takeUsed() && !(this.driver.enableCalls() && this.driver.takeUsed())) return null;
    const { usedHead: head, usedLen: written } = this.driver;
    const sent = this.#sent.get(head) ?? [];
    this.#sent.delete(head);
    const buffers = sent.filter((b) => b.writable).map((b) => this.#parts.ram.at(b.gpa, b.len).slice());
    this.#free(sent);
    return { head, written, buffers, data: new Uint8Array(Buffer.concat(buffers).subarray(0, written)) };
  }

  /** All chains that the device returned so far. */
  receiveAll(): Reply[] {
    const replies: Reply[] = [];
    for (let reply = this.receive(); reply !== null; reply = this.receive()) replies.push(reply);
    return replies;
  }

  #free(buffers: readonly DriverBuffer[]): void {
    for (const buffer of buffers) if (buffer.len > 0) this.#parts.allocator.free(buffer.gpa);
  }
}
