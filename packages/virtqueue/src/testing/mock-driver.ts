/** A driver for device tests: guest RAM, queues in it, and the device's map of that RAM, with no VM. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import type { Sys } from '@oriel/sys';
import { MockQueue } from './mock-queue.ts';
import { RamAllocator } from './ram-allocator.ts';

/** Settings of a `MockDriver`. */
export interface MockDriverOptions {
  /** Default 1. */
  readonly queues?: number;
  /** Entries of each ring; default 64. */
  readonly size?: number;
  /** Packed rings; default false. */
  readonly packed?: boolean;
  /** The queues return chains in order; default false. */
  readonly inOrder?: boolean;
  /** Default true. */
  readonly eventIdx?: boolean;
  /** Several buffers go into an indirect table; default true. */
  readonly indirect?: boolean;
  /** Entries of an indirect table; default 64. */
  readonly maxIndirect?: number;
  /** Bytes of guest RAM; default 4 MiB. */
  readonly ramBytes?: number;
  /** GPA of the RAM; default 0x10_0000. */
  readonly gpa?: number;
}

/** Owns guest RAM and the queues in it; `memory` is the device's map of it, in the same process. */
export class MockDriver implements Disposable {
  readonly ram: TestMemory;
  readonly memory: GuestMemory;
  readonly queues: readonly MockQueue[];
  /** Buffers in guest RAM, for tests that place their own. */
  readonly allocator: RamAllocator;

  /** @throws SysError when there is no memory for it, RangeError when the RAM is too small for its rings */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, options: MockDriverOptions = {}) {
    const {
      packed = false,
      inOrder = false,
      queues = 1,
      size = 64,
      eventIdx = true,
      indirect = true,
      maxIndirect = 64,
      gpa = 0x10_0000,
    } = options;
    this.ram = new TestMemory(sys, { size: options.ramBytes ?? 0x40_0000, gpa });
    this.memory = new GuestMemory(sys);
    this.allocator = new RamAllocator(gpa, this.ram.size);
    const { ram, memory, allocator } = this;
    try {
      ram.addTo(memory);
      this.queues = Array.from(
        { length: queues },
        (_, index) =>
          new MockQueue({ index, size, packed, inOrder, eventIdx, indirect, maxIndirect, ram, memory, allocator }),
      );
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** A queue by index. @throws RangeError when there is none */
  queue(index: number): MockQueue {
    const queue = this.queues[index];
    if (queue === undefined) throw new RangeError(`queue ${index} of ${this.queues.length}`);
    return queue;
  }

  [Symbol.dispose](): void {
    this.memory[Symbol.dispose]();
    this.ram[Symbol.dispose]();
  }
}
