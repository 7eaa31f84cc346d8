/** A split ring that a test writes by hand: nothing is checked, so any rule can be broken. */
import type { TestMemory } from '@oriel/guest-memory/testing';
import type { VirtqueueError } from '../errors.ts';
import { VirtqAvail, VirtqDesc, VirtqUsed, VirtqUsedElem } from '../layout.ts';
import type { SplitQueueConfig } from '../queue.ts';
import { layoutSplitRing } from '../ring-size.ts';

/** The fields of one descriptor; what is left out is 0. */
export interface RawDescriptor {
  readonly addr?: number;
  readonly len?: number;
  readonly flags?: number;
  readonly next?: number;
}

/** Raw access to a ring in guest RAM. */
export class TestRing {
  readonly size: number;
  /** GPAs of the parts, and the first one behind the ring. */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly end: number;
  /** What a queue made from `config` reported. */
  readonly errors: VirtqueueError[] = [];
  calls = 0;
  readonly #ram: TestMemory;

  constructor(ram: TestMemory, size: number, gpa = ram.gpa) {
    const layout = layoutSplitRing(size);
    this.size = size;
    this.desc = gpa + layout.desc;
    this.avail = gpa + layout.avail;
    this.used = gpa + layout.used;
    this.end = gpa + layout.total;
    this.#ram = ram;
  }

  /** Set-up of a device queue over this ring. */
  config(overrides: Partial<SplitQueueConfig> = {}): SplitQueueConfig {
    return {
      index: 0,
      size: this.size,
      desc: this.#ram.userOf(this.desc),
      avail: this.#ram.userOf(this.avail),
      used: this.#ram.userOf(this.used),
      addressSpace: 'user',
      base: 0,
      eventIdx: false,
      indirect: true,
      call: () => {
        this.calls++;
      },
      onError: (error) => this.errors.push(error),
      ...overrides,
    };
  }

  /** Writes a descriptor of the ring. */
  setDesc(index: number, descriptor: RawDescriptor): void {
    this.#write(this.desc + index * VirtqDesc.byteLength, descriptor);
  }

  /** Writes a table of descriptors anywhere in guest RAM. */
  setTable(gpa: number, descriptors: readonly RawDescriptor[]): void {
    for (const [i, descriptor] of descriptors.entries()) this.#write(gpa + i * VirtqDesc.byteLength, descriptor);
  }

  /** Writes an entry of the avail ring. */
  setHead(slot: number, head: number): void {
    this.#setU16(this.avail + VirtqAvail.byteLength + 2 * (slot % this.size), head);
  }

  /** Puts a head behind the last one and moves avail.idx. */
  offer(head: number): void {
    this.setHead(this.availIdx, head);
    this.availIdx = this.availIdx + 1;
  }

  get availFlags(): number {
    return this.#u16(this.avail + VirtqAvail.flags.offset);
  }

  set availFlags(value: number) {
    this.#setU16(this.avail + VirtqAvail.flags.offset, value);
  }

  get availIdx(): number {
    return this.#u16(this.avail + VirtqAvail.idx.offset);
  }

  set availIdx(value: number) {
    this.#setU16(this.avail + VirtqAvail.idx.offset, value);
  }

  get usedEvent(): number {
    return this.#u16(this.#usedEventAt);
  }

  set usedEvent(value: number) {
    this.#setU16(this.#usedEventAt, value);
  }

  get usedFlags(): number {
    return this.#u16(this.used + VirtqUsed.flags.offset);
  }

  get usedIdx(): number {
    return this.#u16(this.used + VirtqUsed.idx.offset);
  }

  set usedIdx(value: number) {
    this.#setU16(this.used + VirtqUsed.idx.offset, value);
  }

  get availEvent(): number {
    return this.#u16(this.used + VirtqUsed.byteLength + VirtqUsedElem.byteLength * this.size);
  }

  /** An element of the used ring. */
  usedElem(slot: number): { id: number; len: number } {
    const base = this.used - this.#ram.gpa + VirtqUsed.byteLength + VirtqUsedElem.byteLength * (slot % this.size);
    return { id: VirtqUsedElem.id.get(this.#ram.view, base), len: VirtqUsedElem.len.get(this.#ram.view, base) };
  }

  get #usedEventAt(): number {
    return this.avail + VirtqAvail.byteLength + 2 * this.size;
  }

  #write(gpa: number, descriptor: RawDescriptor): void {
    const base = gpa - this.#ram.gpa;
    VirtqDesc.addr.set(this.#ram.view, base, descriptor.addr ?? 0);
    VirtqDesc.len.set(this.#ram.view, base, descriptor.len ?? 0);
    VirtqDesc.flags.set(this.#ram.view, base, descriptor.flags ?? 0);
    VirtqDesc.next.set(this.#ram.view, base, descriptor.next ?? 0);
  }

  #u16(gpa: number): number {
    return this.#ram.view.getUint16(gpa - this.#ram.gpa, true);
  }

  #setU16(gpa: number, value: number): void {
    this.#ram.view.setUint16(gpa - this.#ram.gpa, value, true);
  }
}
