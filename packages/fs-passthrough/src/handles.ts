/** Open files and directories that the guest holds: dense columns by slot, with a count of system calls still under way. */
import { O_DIRECTORY, O_DSYNC, O_SYNC } from '@oriel/sys';
import { grown } from './columns.ts';
import type { Device, Devices } from './devices.ts';
import { HandlePins } from './handle-pins.ts';
import { MAX_SLOTS, SlotIds } from './slot-ids.ts';
import { SlotTable } from './slot-table.ts';
import type { ShareJournal } from './survival/share-journal.ts';

/** Kinds of handle. */
export const FILE = 1;
export const DIRECTORY = 2;

/** The handle table. It owns its descriptors. A slot stays in use while a call is, also when its handle was released. */
export class Handles extends SlotTable {
  readonly pins: HandlePins;
  readonly #close: (fd: number, device: Device) => void;
  readonly #devices: Devices;
  #journal: ShareJournal | null = null;
  #fds = new Int32Array(0);
  /** FILE or DIRECTORY. */
  #kinds = new Int32Array(0);
  /** Calls of helper threads that use the descriptor. */
  #calls = new Int32Array(0);
  /** O_* of the open; of a share with a journal, they stand there, and so do the next. */
  #flags: Int32Array<ArrayBuffer> = new Int32Array(0);
  /** The inode that was opened. */
  #nodeids: Float64Array<ArrayBuffer> = new Float64Array(0);
  readonly #deviceOf: (Device | undefined)[] = [];
  readonly #maxFiles: number;
  readonly #maxDirectories: number;
  #directories = 0;

  /**
   * @param close - closes the descriptor of a handle
   * @param maxFiles - most open files at one time
   * @param maxDirectories - most open directories at one time
   */
  constructor(close: (fd: number, device: Device) => void, devices: Devices, maxFiles: number, maxDirectories: number) {
    super(new SlotIds(maxFiles + maxDirectories));
    this.pins = new HandlePins(this, close);
    this.#close = close;
    this.#devices = devices;
    this.#maxFiles = maxFiles;
    this.#maxDirectories = maxDirectories;
  }

  /** True when no handle of that kind is left. */
  full(kind: number): boolean {
    return kind === DIRECTORY
      ? this.#directories >= this.#maxDirectories
      : this.ids.used - this.#directories >= this.#maxFiles;
  }

  /** The fh that the next handle will have. */
  get nextFh(): number {
    return this.ids.nextId;
  }

  /** Handles stand in a journal from now on, or (null) nowhere else. There must be none; what a journal says stays. */
  useJournal(journal: ShareJournal | null): void {
    const max = this.#maxFiles + this.#maxDirectories;
    this.#journal = journal;
    this.ids = journal === null ? new SlotIds(max) : new SlotIds(max, { ids: journal.openIds, mark: journal.openMark });
    this.#fds = new Int32Array(0);
    this.#kinds = new Int32Array(0);
    this.#calls = new Int32Array(0);
    this.#flags = journal?.openFlags ?? new Int32Array(0);
    this.#nodeids = journal?.openNodeids ?? new Float64Array(0);
    this.#grow(this.ids.capacity);
  }

  /** Ends every handle of this process, which stays in the journal. Pins close theirs. */
  letGo(): void {
    for (const slot of this.pins.letGo()) {
      this.#fds[slot] = -1;
    }
    // Not by the ids: the journal may be cleared already.
    for (let slot = 1; slot < this.#deviceOf.length; slot++) {
      if (this.#deviceOf[slot] !== undefined) {
        this.#closeSlot(slot);
      }
    }
  }

  /**
   * Opens the handles of the journal again.
   * @param open - opens an inode; a negative errno: the handle goes, and its fh names nothing
   * @returns how many are lost
   */
  restore(open: (nodeid: number, flags: number) => number, deviceOf: (nodeid: number) => Device): number {
    let lost = 0;
    for (let slot = 1; slot < this.ids.end; slot++) {
      if (!this.ids.isUsed(slot)) {
        continue;
      }
      const nodeid = this.#nodeids[slot]!;
      const flags = this.#flags[slot]!;
      const fd = open(nodeid, flags);
      if (fd < 0) {
        lost++;
        this.ids.release(slot);
        continue;
      }
      this.#set(slot, fd, (flags & O_DIRECTORY) !== 0 ? DIRECTORY : FILE, deviceOf(nodeid), nodeid, flags);
    }
    return lost;
  }

  /**
   * Adds a handle; the descriptor is given away. The caller has asked `full` before.
   * @param nodeid - the inode that was opened
   * @param flags - O_* of the open, O_DIRECTORY for a directory
   * @returns its slot
   */
  insert(fd: number, kind: number, device: Device, nodeid: number, flags: number): number {
    if (this.#journal !== null) {
      this.#note(this.ids.nextId, nodeid, flags);
    }
    const slot = this.ids.take();
    this.#set(slot, fd, kind, device, nodeid, flags);
    return slot;
  }

  /** Makes room for the handles of another share, as `Inodes.prepare`. There must be none. */
  prepare(end: number, uses: number): boolean {
    return this.ids.used === 0 && this.ids.prepare(end, uses);
  }

  /** As `insert`, with the fh that the handle has in another share. @returns -1: there is no room; the descriptor stays the caller's */
  insertAs(fh: number, fd: number, kind: number, device: Device, nodeid: number, flags: number): number {
    if (this.full(kind)) {
      return -1;
    }
    if (this.#journal !== null) {
      this.#note(fh, nodeid, flags);
    }
    const slot = this.ids.place(fh);
    if (slot >= 0) {
      this.#set(slot, fd, kind, device, nodeid, flags);
    }
    return slot;
  }

  /** True for an open handle. */
  isOpen(slot: number): boolean {
    return this.ids.isUsed(slot) && this.#kinds[slot]! > 0;
  }

  /** The inode that was opened. */
  nodeid(slot: number): number {
    return this.#nodeids[slot]!;
  }

  /** O_* of the open. */
  flags(slot: number): number {
    return this.#flags[slot]!;
  }

  /** In a journal, before the id says that the row counts. */
  #note(fh: number, nodeid: number, flags: number): void {
    const slot = fh % (MAX_SLOTS + 1);
    this.#nodeids[slot] = nodeid;
    this.#flags[slot] = flags;
  }

  #set(slot: number, fd: number, kind: number, device: Device, nodeid: number, flags: number): void {
    if (this.#fds.length < this.ids.capacity) {
      this.#grow(this.ids.capacity);
    }
    device.users++;
    this.#fds[slot] = fd;
    this.#kinds[slot] = kind;
    this.#calls[slot] = 0;
    this.#nodeids[slot] = nodeid;
    this.#flags[slot] = flags;
    this.#deviceOf[slot] = device;
    if (kind === DIRECTORY) {
      this.#directories++;
    }
  }

  /** The fh that names a slot. */
  fh(slot: number): number {
    return this.ids.idOf(slot);
  }

  /** @returns the slot of an open handle of that kind, or -1 */
  slotOf(fh: number, kind: number): number {
    const slot = this.ids.slotOf(fh);
    return slot >= 0 && this.#kinds[slot] === kind ? slot : -1;
  }

  /** The same of a handle of any kind. */
  anySlotOf(fh: number): number {
    const slot = this.ids.slotOf(fh);
    return slot >= 0 && this.#kinds[slot]! > 0 ? slot : -1;
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
    return (this.#flags[slot]! & (O_SYNC | O_DSYNC)) !== 0;
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
    for (let slot = 1; slot < this.ids.end; slot++) {
      if (!this.ids.isUsed(slot)) {
        continue;
      }
      if (this.#deviceOf[slot] === undefined) {
        // A row of a process before that ended while it cleared them: nothing of it was taken up.
        this.ids.release(slot);
      } else if (this.#kinds[slot]! > 0) {
        this.release(slot);
      }
    }
  }

  #remove(slot: number): void {
    this.ids.release(slot);
    this.#closeSlot(slot);
  }

  #closeSlot(slot: number): void {
    if (Math.abs(this.#kinds[slot]!) === DIRECTORY) {
      this.#directories--;
    }
    const device = this.#deviceOf[slot]!;
    this.#deviceOf[slot] = undefined;
    if (this.#fds[slot]! >= 0) {
      this.#close(this.#fds[slot]!, device);
    }
    this.#devices.release(device);
    this.#fds[slot] = -1;
  }

  #grow(length: number): void {
    this.#fds = grown(this.#fds, length);
    this.#kinds = grown(this.#kinds, length);
    this.#calls = grown(this.#calls, length);
    if (this.#flags.length < length) {
      this.#flags = grown(this.#flags, length);
      this.#nodeids = grown(this.#nodeids, length);
    }
  }
}
