/** Open files and directories that the guest holds: dense columns by slot, with a count of system calls still under way. */
import type { SysFd } from '@oriel/sys';
import type { Device, Devices } from './devices.ts';
import { grownInt32, SlotIds } from './slot-ids.ts';

/** Kinds of handle. */
export const FILE = 1;
export const DIRECTORY = 2;

/** The handle table. It owns its descriptors. */
export class Handles {
  readonly #sys: SysFd;
  readonly #devices: Devices;
  readonly #ids: SlotIds;
  #fds = new Int32Array(0);
  /** FILE or DIRECTORY. */
  #kinds = new Int32Array(0);
  /** Calls of helper threads that use the descriptor. */
  #calls = new Int32Array(0);
  /** 1: O_SYNC or O_DSYNC. */
  #sync = new Int32Array(0);
  readonly #deviceOf: (Device | undefined)[] = [];
  readonly #maxFiles: number;
  readonly #maxDirectories: number;
  #directories = 0;

  /**
   * @param maxFiles - most open files at one time
   * @param maxDirectories - most open directories at one time
   */
  constructor(sys: SysFd, devices: Devices, maxFiles: number, maxDirectories: number) {
    this.#sys = sys;
    this.#devices = devices;
    this.#ids = new SlotIds(maxFiles + maxDirectories);
    this.#maxFiles = maxFiles;
    this.#maxDirectories = maxDirectories;
  }

  /** Handles in use, and those that only wait for a call to end. */
  get size(): number {
    return this.#ids.used;
  }

  /** True when no handle of that kind is left. */
  full(kind: number): boolean {
    return kind === DIRECTORY
      ? this.#directories >= this.#maxDirectories
      : this.#ids.used - this.#directories >= this.#maxFiles;
  }

  /**
   * Adds a handle; the descriptor is given away. The caller has asked `full` before.
   * @returns its slot
   */
  insert(fd: number, kind: number, device: Device, sync: boolean): number {
    const slot = this.#ids.take();
    if (this.#fds.length < this.#ids.capacity) {
      this.#grow(this.#ids.capacity);
    }
    device.users++;
    this.#fds[slot] = fd;
    this.#kinds[slot] = kind;
    this.#calls[slot] = 0;
    this.#sync[slot] = sync ? 1 : 0;
    this.#deviceOf[slot] = device;
    if (kind === DIRECTORY) {
      this.#directories++;
    }
    return slot;
  }

  /** The fh that names a slot. */
  fh(slot: number): number {
    return this.#ids.idOf(slot);
  }

  /** @returns the slot of an open handle of that kind, or -1 */
  slotOf(fh: number, kind: number): number {
    const slot = this.#ids.slotOf(fh);
    return slot >= 0 && this.#kinds[slot] === kind ? slot : -1;
  }

  /** The descriptor, lent. */
  fd(slot: number): number {
    return this.#fds[slot]!;
  }

  device(slot: number): Device {
    return this.#deviceOf[slot]!;
  }

  /** Opened with O_SYNC or O_DSYNC. */
  isSync(slot: number): boolean {
    return this.#sync[slot] !== 0;
  }

  /** A helper thread begins to use the descriptor. */
  beginCall(slot: number): void {
    this.#calls[slot]!++;
  }

  /** It has ended; a handle that was released meanwhile goes now. */
  endCall(slot: number): void {
    if (--this.#calls[slot]! === 0 && this.#kinds[slot]! < 0) {
      this.#remove(slot);
    }
  }

  /** Closes a handle: at once, or when its last call ends. Its fh is void from now on. */
  release(slot: number): void {
    if (this.#calls[slot] === 0) {
      this.#remove(slot);
    } else {
      this.#kinds[slot] = -this.#kinds[slot]!;
    }
  }

  /** Releases every handle. */
  clear(): void {
    for (let slot = 1; slot < this.#ids.end; slot++) {
      if (this.#ids.isUsed(slot) && this.#kinds[slot]! > 0) {
        this.release(slot);
      }
    }
  }

  #remove(slot: number): void {
    if (Math.abs(this.#kinds[slot]!) === DIRECTORY) {
      this.#directories--;
    }
    this.#devices.release(this.#deviceOf[slot]!);
    this.#deviceOf[slot] = undefined;
    this.#sys.close(this.#fds[slot]!);
    this.#fds[slot] = -1;
    this.#ids.release(slot);
  }

  #grow(length: number): void {
    this.#fds = grownInt32(this.#fds, length);
    this.#kinds = grownInt32(this.#kinds, length);
    this.#calls = grownInt32(this.#calls, length);
    this.#sync = grownInt32(this.#sync, length);
  }
}
