/** A ring whose every word can be written: the drivers of virtqueue would refuse what a hostile one does. */
import { check, EPOLLIN, Fd, type Sys } from '@oriel/sys';
import {
  layoutPackedRing,
  layoutSplitRing,
  VirtqAvail,
  VirtqDesc,
  VirtqPackedDesc,
  VirtqUsed,
  VirtqUsedElem,
  VRING_PACKED_DESC_F_AVAIL,
} from '@oriel/virtqueue';
import { put64, type Word } from './payloads.ts';
import { RAM_GPA, RAM_USER, type Ram } from './ram.ts';
import type { Waiter } from './waiter.ts';

/** Bytes between two rings. */
const RING_STRIDE = 0x8000;

/** Where the buffers of chains stand, and what can be used of them. */
export const BUFFERS_GPA = RAM_GPA + 0x4_0000;

/** One descriptor; `next` counts in a split ring, `id` in a packed one. */
export interface Descriptor {
  readonly addr: Word;
  readonly len: number;
  readonly flags?: number;
  readonly next?: number;
  readonly id?: number;
}

/** Ring memory in `Ram` and its three eventfds. */
export class Ring implements Disposable {
  readonly index: number;
  readonly size: number;
  readonly packed: boolean;
  /** GPA of each part. */
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
  readonly #sys: Pick<Sys, 'loop'>;
  readonly #ram: Ram;
  readonly #kick: Fd;
  readonly #call: Fd;
  readonly #err: Fd;
  #availIdx = 0;

  constructor(sys: Pick<Sys, 'fd' | 'loop'>, ram: Ram, index: number, size: number, packed: boolean) {
    this.#sys = sys;
    this.#ram = ram;
    this.index = index;
    this.size = size;
    this.packed = packed;
    const base = RAM_GPA + index * RING_STRIDE;
    const layout = packed ? layoutPackedRing(size) : layoutSplitRing(size);
    this.desc = base + layout.desc;
    this.avail = base + layout.avail;
    this.used = base + layout.used;
    const offset = ram.offsetOf(base);
    ram.u8.fill(0, offset, offset + layout.total);
    const make = () => new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
    this.#kick = make();
    this.#call = make();
    this.#err = make();
  }

  get kickFd(): number {
    return this.#kick.fd;
  }

  get callFd(): number {
    return this.#call.fd;
  }

  get errFd(): number {
    return this.#err.fd;
  }

  /** The parts in user addresses, as SET_VRING_ADDR names them. */
  get addresses(): { desc: number; avail: number; used: number } {
    const user = (gpa: number) => gpa - RAM_GPA + RAM_USER;
    return { desc: user(this.desc), avail: user(this.avail), used: user(this.used) };
  }

  /** The kicks' count goes up. */
  kick(): void {
    this.#sys.loop.eventfdSignal(this.#kick.fd);
  }

  /** Writes an entry of the descriptor table. */
  describe(index: number, descriptor: Descriptor): void {
    this.writeTable(this.desc, index, descriptor);
  }

  /** Writes an entry of a table of descriptors anywhere in RAM. */
  writeTable(gpa: number, index: number, { addr, len, flags = 0, next = 0, id = 0 }: Descriptor): void {
    const { view } = this.#ram;
    const base = this.#ram.offsetOf(gpa) + index * VirtqDesc.byteLength;
    const layout = this.packed ? VirtqPackedDesc : VirtqDesc;
    put64(layout.addr, view, base, addr);
    layout.len.set(view, base, len);
    if (this.packed) VirtqPackedDesc.id.set(view, base, id);
    else VirtqDesc.next.set(view, base, next);
    layout.flags.set(view, base, flags);
  }

  /** Split: puts a head into the avail ring and publishes it. */
  offer(head: number): void {
    const { view } = this.#ram;
    const slot = this.#availIdx % this.size;
    view.setUint16(this.#ram.offsetOf(this.avail) + VirtqAvail.byteLength + 2 * slot, head, true);
    this.setAvailIdx(this.#availIdx + 1);
  }

  /** Split: writes avail.idx. */
  setAvailIdx(idx: number): void {
    this.#availIdx = idx & 0xffff;
    VirtqAvail.idx.set(this.#ram.view, this.#ram.offsetOf(this.avail), this.#availIdx);
  }

  /** Packed: writes descriptors from the start of the ring on, all of them available in the first lap. */
  offerPacked(descriptors: readonly Descriptor[]): void {
    const available = 1 << VRING_PACKED_DESC_F_AVAIL;
    for (let index = descriptors.length - 1; index >= 0; index--) {
      const descriptor = descriptors[index]!;
      this.describe(index, { ...descriptor, flags: (descriptor.flags ?? 0) | available });
    }
  }

  /** Split: how many chains came back. */
  get usedIdx(): number {
    return VirtqUsed.idx.get(this.#ram.view, this.#ram.offsetOf(this.used));
  }

  /** Split: bytes written, as the used element that stands where used.idx was `idx` says. */
  usedLen(idx: number): number {
    const slot = (idx % this.size) * VirtqUsedElem.byteLength;
    return VirtqUsedElem.len.get(this.#ram.view, this.#ram.offsetOf(this.used) + VirtqUsed.byteLength + slot);
  }

  /** Waits for a call, an error or an event on `socket`. @returns false when nothing came */
  waitForDevice(waiter: Waiter, socket: number, timeoutMs: number): boolean {
    return waiter.wait([this.#call.fd, this.#err.fd, socket], EPOLLIN, timeoutMs);
  }

  /** Takes the calls. */
  takeCalls(): boolean {
    return this.#sys.loop.eventfdDrain(this.#call.fd) > 0;
  }

  /** Takes the errors: true when the device says that the ring is broken. */
  takeErrors(): boolean {
    return this.#sys.loop.eventfdDrain(this.#err.fd) > 0;
  }

  [Symbol.dispose](): void {
    this.#kick.close();
    this.#call.close();
    this.#err.close();
  }
}
