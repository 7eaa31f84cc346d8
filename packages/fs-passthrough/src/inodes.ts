/**
 * The inodes that the guest knows: dense columns by slot, each with an O_PATH descriptor that pins the host's inode, so
 * that an equal (device, mount, inode number) always means the same file.
 */
import { type Address, S_IFMT, type SysFd, type SysMem } from '@oriel/sys';
import type { Device, Devices } from './devices.ts';
import { FdNames } from './fd-names.ts';
import type { FileStatus } from './file-status.ts';
import { grownInt32, SlotIds } from './slot-ids.ts';

/** The root's slot, and with it its nodeid. */
export const ROOT = 1;

/** The inode table. It owns its descriptors. */
export class Inodes implements Disposable {
  readonly #sys: SysFd;
  readonly #devices: Devices;
  readonly #names: FdNames;
  readonly #ids: SlotIds;
  #fds = new Int32Array(0);
  #types = new Int32Array(0);
  #counts = new Float64Array(0);
  /** inode number, low and high word of each slot. */
  #inos = new Uint32Array(0);
  readonly #deviceOf: (Device | undefined)[] = [];

  /** @param max - most inodes known at one time, the root included */
  constructor(mem: SysMem, fd: SysFd, devices: Devices, max: number) {
    this.#sys = fd;
    this.#devices = devices;
    this.#names = new FdNames(mem);
    this.#ids = new SlotIds(max);
  }

  /** Inodes known, the root included. */
  get size(): number {
    return this.#ids.used;
  }

  get full(): boolean {
    return this.#ids.full;
  }

  /** @returns the slot of a nodeid, or -1 */
  slotOf(nodeid: number): number {
    return this.#ids.slotOf(nodeid);
  }

  nodeid(slot: number): number {
    return this.#ids.idOf(slot);
  }

  /** The O_PATH descriptor, lent. */
  fd(slot: number): number {
    return this.#fds[slot]!;
  }

  /** S_IF* bits: the kind of file never changes. */
  type(slot: number): number {
    return this.#types[slot]!;
  }

  device(slot: number): Device {
    return this.#deviceOf[slot]!;
  }

  /** Lookups that the guest has not forgotten. */
  count(slot: number): number {
    return this.#counts[slot]!;
  }

  /** "N" relative to /proc/self/fd: opening it opens the inode itself. */
  number(slot: number): Address {
    return this.#names.number(slot);
  }

  /** "/proc/self/fd/N". */
  path(slot: number): Address {
    return this.#names.path(slot);
  }

  /** Address of the decimal text of any descriptor, good until the next call. */
  numberOfFd(fd: number): Address {
    this.#names.set(0, fd);
    return this.#names.number(0);
  }

  /** Finds the inode of `status`. @returns its slot, or -1 */
  find(status: FileStatus): number {
    const device = this.#devices.find(status.devMajor, status.devMinor, status.mount);
    if (device === undefined) {
      return -1;
    }
    const slot = device.slotOf(status.inoLo, status.inoHi);
    // Another kind of file under a known number: a file system that reuses numbers of inodes in use.
    return slot >= 0 && this.#types[slot] === status.type ? slot : -1;
  }

  /**
   * Adds an inode with no lookups yet; its descriptor is given away.
   * @param fd - O_PATH descriptor
   * @param status - what statx said of that descriptor
   * @returns the slot, or -1 when the table is full (the descriptor then stays with the caller)
   */
  insert(fd: number, status: FileStatus): number {
    const slot = this.#ids.take();
    if (slot < 0) {
      return -1;
    }
    if (this.#fds.length < this.#ids.capacity) {
      this.#grow(this.#ids.capacity);
    }
    const device = this.#devices.obtain(status.devMajor, status.devMinor, status.mount, fd);
    device.users++;
    this.#names.set(slot, fd);
    this.#fds[slot] = fd;
    this.#types[slot] = status.mode & S_IFMT;
    this.#counts[slot] = 0;
    this.#inos[2 * slot] = status.inoLo;
    this.#inos[2 * slot + 1] = status.inoHi;
    this.#deviceOf[slot] = device;
    // The root is never found by a look-up: no reply but INIT's may name it.
    if (slot !== ROOT) {
      device.set(status.inoLo, status.inoHi, slot);
    }
    return slot;
  }

  /** Counts one lookup. */
  addLookup(slot: number): void {
    this.#counts[slot]!++;
  }

  /** Takes lookups away; at none left the inode goes. More than there are count as all; the root stays. */
  forget(slot: number, count: number): void {
    if (slot === ROOT) {
      return;
    }
    const left = this.#counts[slot]! - count;
    if (left > 0) {
      this.#counts[slot] = left;
    } else {
      this.#remove(slot);
    }
  }

  /** Removes an inode that was just inserted and that nobody looked up. */
  dropUnused(slot: number): void {
    if (slot !== ROOT && this.#counts[slot] === 0) {
      this.#remove(slot);
    }
  }

  /** Removes all but the root. */
  clear(): void {
    for (let slot = ROOT + 1; slot < this.#ids.end; slot++) {
      if (this.#ids.isUsed(slot)) {
        this.#remove(slot);
      }
    }
  }

  [Symbol.dispose](): void {
    this.clear();
    if (this.#ids.isUsed(ROOT)) {
      this.#remove(ROOT);
    }
    this.#names[Symbol.dispose]();
  }

  #remove(slot: number): void {
    const device = this.#deviceOf[slot]!;
    device.delete(this.#inos[2 * slot]!, this.#inos[2 * slot + 1]!, slot);
    this.#devices.release(device);
    this.#deviceOf[slot] = undefined;
    this.#sys.close(this.#fds[slot]!);
    this.#fds[slot] = -1;
    this.#ids.release(slot);
  }

  #grow(length: number): void {
    this.#fds = grownInt32(this.#fds, length);
    this.#types = grownInt32(this.#types, length);
    const counts = new Float64Array(length);
    counts.set(this.#counts);
    this.#counts = counts;
    const inos = new Uint32Array(2 * length);
    inos.set(this.#inos);
    this.#inos = inos;
  }
}
