/** A packed ring that a test writes by hand: nothing is checked, so any rule can be broken. */
import type { TestMemory } from '@oriel/guest-memory/testing';
import type { VirtqueueError } from '../errors.ts';
import { VirtqPackedDesc, VirtqPackedEvent, VRING_PACKED_DESC_F_AVAIL, VRING_PACKED_DESC_F_USED } from '../layout.ts';
import { PACKED_RING_START } from '../packed-ring.ts';
import type { PackedQueueConfig } from '../queue.ts';
import { layoutPackedRing } from '../ring-size.ts';

/** The fields of one descriptor; what is left out is 0. */
export interface RawPackedDescriptor {
  readonly addr?: number;
  readonly len?: number;
  readonly id?: number;
  readonly flags?: number;
}

const AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL;
const USED = 1 << VRING_PACKED_DESC_F_USED;

/** Raw access to a packed ring in guest RAM. */
export class PackedTestRing {
  readonly size: number;
  /** GPAs of the parts, and the first one behind the ring. */
  readonly desc: number;
  readonly driverArea: number;
  readonly deviceArea: number;
  readonly end: number;
  /** What a queue made from `config` reported. */
  readonly errors: VirtqueueError[] = [];
  calls = 0;
  /** Where `offer` puts its next descriptor, and the wrap counter there. */
  next = 0;
  wrap = true;
  readonly #ram: TestMemory;

  constructor(ram: TestMemory, size: number, gpa = ram.gpa) {
    const layout = layoutPackedRing(size);
    this.size = size;
    this.desc = gpa + layout.desc;
    this.driverArea = gpa + layout.avail;
    this.deviceArea = gpa + layout.used;
    this.end = gpa + layout.total;
    this.#ram = ram;
  }

  /** Set-up of a device queue over this ring. */
  config(overrides: Partial<PackedQueueConfig> = {}): PackedQueueConfig {
    return {
      index: 0,
      size: this.size,
      desc: this.#ram.userOf(this.desc),
      avail: this.#ram.userOf(this.driverArea),
      used: this.#ram.userOf(this.deviceArea),
      addressSpace: 'user',
      base: PACKED_RING_START,
      eventIdx: false,
      indirect: true,
      call: () => {
        this.calls++;
      },
      onError: (error) => this.errors.push(error),
      ...overrides,
    };
  }

  /** Writes a descriptor as it stands. */
  setDesc(slot: number, descriptor: RawPackedDescriptor): void {
    this.#write(this.desc + slot * VirtqPackedDesc.byteLength, descriptor);
  }

  /** Writes a table of descriptors anywhere in guest RAM. */
  setTable(gpa: number, descriptors: readonly RawPackedDescriptor[]): void {
    for (const [i, descriptor] of descriptors.entries()) this.#write(gpa + i * VirtqPackedDesc.byteLength, descriptor);
  }

  /** Makes descriptors available, in a row. @returns the slot of the first */
  offer(...descriptors: readonly RawPackedDescriptor[]): number {
    const first = this.next;
    for (const descriptor of descriptors) {
      this.setDesc(this.next, { ...descriptor, flags: (descriptor.flags ?? 0) | (this.wrap ? AVAIL : USED) });
      this.next++;
      if (this.next < this.size) continue;
      this.next = 0;
      this.wrap = !this.wrap;
    }
    return first;
  }

  /** A descriptor as it is now. */
  getDesc(slot: number): Required<RawPackedDescriptor> {
    const { view } = this.#ram;
    const base = this.desc - this.#ram.gpa + slot * VirtqPackedDesc.byteLength;
    return {
      addr: VirtqPackedDesc.addr.get(view, base),
      len: VirtqPackedDesc.len.get(view, base),
      id: VirtqPackedDesc.id.get(view, base),
      flags: VirtqPackedDesc.flags.get(view, base),
    };
  }

  /** The driver's event suppression: what it asks of the device. */
  setDriverArea(offWrap: number, flags: number): void {
    const base = this.driverArea - this.#ram.gpa;
    VirtqPackedEvent.offWrap.set(this.#ram.view, base, offWrap);
    VirtqPackedEvent.flags.set(this.#ram.view, base, flags);
  }

  /** The device's event suppression: what it asks of the driver. */
  get asked(): { offWrap: number; flags: number } {
    const base = this.deviceArea - this.#ram.gpa;
    return {
      offWrap: VirtqPackedEvent.offWrap.get(this.#ram.view, base),
      flags: VirtqPackedEvent.flags.get(this.#ram.view, base),
    };
  }

  #write(gpa: number, descriptor: RawPackedDescriptor): void {
    const base = gpa - this.#ram.gpa;
    VirtqPackedDesc.addr.set(this.#ram.view, base, descriptor.addr ?? 0);
    VirtqPackedDesc.len.set(this.#ram.view, base, descriptor.len ?? 0);
    VirtqPackedDesc.id.set(this.#ram.view, base, descriptor.id ?? 0);
    VirtqPackedDesc.flags.set(this.#ram.view, base, descriptor.flags ?? 0);
  }
}
