/**
 * The inodes that the guest knows: dense columns by slot. An O_PATH descriptor pins the host's inode, so that an equal
 * (device, mount, inode number) means the same file; where there are too many, a file handle takes a descriptor's place,
 * and tells whether the number still means that file.
 */
import {
  type Address,
  AT_EMPTY_PATH,
  ESTALE,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
  type SysFd,
  type SysFile,
  type SysMem,
} from '@oriel/sys';
import { type Device, type Devices, isOfKernel } from './devices.ts';
import type { FdNames } from './fd-names.ts';
import type { FileHandles } from './file-handles.ts';
import type { FileStatus } from './file-status.ts';
import { GIVEN_UP, InodeDescriptors } from './inode-descriptors.ts';
import { InodeIndex } from './inode-index.ts';
import type { ShareFd } from './remote/remote-fd.ts';
import type { RemoteRuns } from './remote/remote-runs.ts';
import type { Scratch } from './scratch.ts';
import { grownInt32, SlotIds } from './slot-ids.ts';
import { keepFd } from './survival/keep-fd.ts';
import { inodeName, type ShareJournal } from './survival/share-journal.ts';

/** In a type's word, where the device's record in the journal stands. */
const RECORD_SHIFT = 16;

/** The root's slot, and with it its nodeid. */
export const ROOT = 1;

/** What `find` answers for an inode that is not known: no inode has slot 0. */
export const UNKNOWN = 0;

/** What an inode table is told. */
export interface InodeTableOptions {
  /** Most inodes known at one time, the root included. */
  readonly maxInodes: number;
  /** Most descriptors held for them, those of mounts included; one request may need a few more while it lasts. */
  readonly maxDescriptors: number;
  /** File handles may take the place of descriptors. */
  readonly useHandles: boolean;
  /** /proc/self/fd, lent for the table's life. */
  readonly procFd: number;
}

/**
 * The inode table. It owns its descriptors, and lends one until the request ends: `slotOf` is called when a request begins,
 * and with `insert` it is the only place where descriptors are closed to make room.
 */
export class Inodes implements Disposable {
  readonly #sys: SysFd;
  readonly #fd: ShareFd;
  readonly #runs: RemoteRuns;
  readonly #devices: Devices;
  readonly #descriptors: InodeDescriptors;
  readonly #empty: Address;
  readonly #options: InodeTableOptions;
  #journal: ShareJournal | null = null;
  /** Slots whose descriptor the journal's store keeps: no handle leads to them. */
  readonly #kept = new Set<number>();
  #ids: SlotIds;
  /** S_IF* bits; in a journal, the device's record above them. */
  #types: Int32Array<ArrayBuffer> = new Int32Array(0);
  #counts: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** inode number, low and high word of each slot. */
  #inos: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  /** Numbers of devices; 0: nothing is known of the slot. In memory of this object, always. */
  #deviceNumbers: Int32Array<ArrayBuffer> = new Int32Array(0);
  readonly #index = new InodeIndex();
  /** What `learnMount` found out. */
  #learnt: { readonly magic: number; readonly mountFd: number | null } | null = null;

  /**
   * @param sysFd - for descriptors of places, whose closing never waits
   * @param calls - all other calls
   * @param runs - where those are made
   */
  constructor(
    sysFd: SysFd,
    calls: { mem: SysMem; fd: ShareFd; file: SysFile },
    runs: RemoteRuns,
    scratch: Scratch,
    devices: Devices,
    options: InodeTableOptions,
  ) {
    this.#sys = sysFd;
    this.#fd = calls.fd;
    this.#runs = runs;
    this.#devices = devices;
    this.#descriptors = new InodeDescriptors(sysFd, calls, scratch);
    this.#empty = scratch.empty;
    this.#options = options;
    this.#ids = new SlotIds(options.maxInodes);
  }

  /** Inodes known, the root included. */
  get size(): number {
    return this.#ids.used;
  }

  get full(): boolean {
    return this.#ids.full;
  }

  /** Descriptors of inodes and mounts. */
  get descriptors(): number {
    return this.#descriptors.open + this.#devices.mountFds;
  }

  /** True when another inode would need a descriptor more than there may be. */
  get outOfDescriptors(): boolean {
    return this.descriptors >= this.#options.maxDescriptors && !this.#descriptors.canGiveUp;
  }

  /** Ends what was lent before. @returns the slot of a nodeid, or -1 */
  slotOf(nodeid: number): number {
    if (this.descriptors > this.#options.maxDescriptors) {
      this.#shrink(this.#options.maxDescriptors);
    }
    return this.#ids.slotOf(nodeid);
  }

  nodeid(slot: number): number {
    return this.#ids.idOf(slot);
  }

  /**
   * The O_PATH descriptor, lent until the request ends. Root's rights are needed where it must be opened again.
   * @returns a negative errno when that fails, ESTALE when the file is gone
   */
  fd(slot: number): number {
    const { active } = this.#runs;
    return active === null ? this.#ownFd(slot) : active.copyOf(slot, () => this.#runs.here(() => this.#ownFd(slot)));
  }

  #ownFd(slot: number): number {
    const fd = this.#descriptors.fd(slot);
    return fd === GIVEN_UP ? this.#reopen(slot) : fd;
  }

  /** S_IF* bits: the kind of file never changes. */
  type(slot: number): number {
    return this.#types[slot]! & S_IFMT;
  }

  device(slot: number): Device {
    return this.#devices.numbered(this.#deviceNumbers[slot]!);
  }

  /** Lookups that the guest has not forgotten. */
  count(slot: number): number {
    return this.#counts[slot]!;
  }

  /** "N" relative to /proc/self/fd: opening it opens the inode itself. @returns an address, or as `fd` */
  number(slot: number): Address {
    const fd = this.fd(slot);
    return fd < 0 ? fd : this.#descriptors.names.number(fd);
  }

  /** "/proc/self/fd/N". @returns an address, or as `fd` */
  path(slot: number): Address {
    const fd = this.fd(slot);
    return fd < 0 ? fd : this.#descriptors.names.path(fd);
  }

  /** Address of the decimal text of any descriptor. */
  numberOfFd(fd: number): Address {
    return this.#descriptors.names.number(fd);
  }

  /**
   * Finds the inode of an entry.
   * @param status - what statx said of it
   * @param flags - 0, or AT_EMPTY_PATH for `dirfd` itself
   * @returns its slot, UNKNOWN, or a negative errno when that could not be told
   */
  find(status: FileStatus, dirfd: number, name: Address, flags: number): number {
    const device = this.#devices.find(status.devMajor, status.devMinor, status.mount);
    if (device === undefined) {
      return UNKNOWN;
    }
    const slot = this.#index.slotOf(device.number, status.inoLo, status.inoHi);
    // Another kind of file under a known number: a file system that reuses numbers of inodes in use.
    if (slot < 0 || this.type(slot) !== status.type) {
      return UNKNOWN;
    }
    return this.#descriptors.has(slot) ? slot : this.#confirm(slot, device, dirfd, name, flags);
  }

  /** Finds the inode of a descriptor. @returns as `find` */
  findFd(status: FileStatus, fd: number): number {
    return this.find(status, fd, this.#empty, AT_EMPTY_PATH);
  }

  /**
   * Adds an inode with no lookups yet; its descriptor is given away.
   * @param fd - O_PATH descriptor
   * @param status - what statx said of that descriptor
   * @returns the slot, or -1 when the table is full (the descriptor then stays with the caller)
   */
  insert(fd: number, status: FileStatus): number {
    const slot = this.#ids.take();
    if (slot >= 0) {
      this.#put(slot, fd, status);
    }
    return slot;
  }

  /**
   * Makes room for the inodes of another share: `insertAs` puts them in, `settle` is the end. Only the root may be known.
   * @returns false when there cannot be so many, see `SlotIds.prepare`
   */
  prepare(end: number, uses: number): boolean {
    return this.#ids.used === 1 && this.#ids.prepare(end, uses);
  }

  /** As `insert`, with the nodeid and the lookups that the inode has in another share. */
  insertAs(nodeid: number, fd: number, status: FileStatus, count: number): number {
    const slot = this.#ids.place(nodeid);
    if (slot >= 0) {
      this.#put(slot, fd, status);
      this.#counts[slot] = count;
    }
    return slot;
  }

  /** All inodes of the other share are in. */
  settle(): void {
    this.#ids.settle();
  }

  /** Above every slot ever used. */
  get end(): number {
    return this.#ids.end;
  }

  /** More uses than any slot had; looks at all. */
  get nextUses(): number {
    return this.#ids.nextUses;
  }

  isUsed(slot: number): boolean {
    return this.#ids.isUsed(slot);
  }

  /** Texts of descriptors. */
  get names(): FdNames {
    return this.#descriptors.names;
  }

  /** File handles, for one who tells them to another host. */
  get fileHandles(): FileHandles {
    return this.#descriptors.handles;
  }

  #put(slot: number, fd: number, status: FileStatus): void {
    if (this.#types.length < this.#ids.capacity) {
      this.#grow(this.#ids.capacity);
    }
    const device = this.#deviceFor(fd, status);
    device.users++;
    this.#shrink(this.#options.maxDescriptors - 1);
    this.#descriptors.set(slot, fd, slot !== ROOT && givesUp(device));
    this.#types[slot] = status.mode & S_IFMT;
    this.#counts[slot] = 0;
    this.#inos[2 * slot] = status.inoLo;
    this.#inos[2 * slot + 1] = status.inoHi;
    this.#deviceNumbers[slot] = device.number;
    if (this.#journal !== null) {
      this.#types[slot]! |= device.journalRecord << RECORD_SHIFT;
      if (device.mountFd >= 0) {
        this.#descriptors.handles.keep(slot, fd);
      }
    }
    // The root is never found by a look-up: no reply but INIT's may name it.
    if (slot !== ROOT) {
      this.#index.add(slot);
    }
  }

  /** An inode that had no name has one now: its descriptor may be given up. */
  linked(slot: number): void {
    if (slot !== ROOT && givesUp(this.device(slot))) {
      this.#descriptors.release(slot);
    }
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
    this.#descriptors[Symbol.dispose]();
  }

  /**
   * The last name of an inode is about to go: a later process finds it by its descriptor alone, which is kept.
   * @returns false when it is not
   */
  keep(slot: number): boolean {
    const journal = this.#journal;
    if (this.#kept.has(slot)) {
      return true;
    }
    const fd = journal === null ? -1 : this.fd(slot);
    if (fd < 0 || !keepFd(journal!.store, this.#sys, inodeName(this.nodeid(slot)), fd)) {
      return false;
    }
    this.#kept.add(slot);
    return true;
  }

  /**
   * The columns stand in a journal from now on, or (null) in memory of its own. Only the root is known after it; what the
   * journal of before says stays.
   */
  useJournal(journal: ShareJournal | null): void {
    this.#journal = null;
    const device = this.device(ROOT);
    const root = this.#descriptors.fd(ROOT);
    // Not by the columns: the journal of before may be cleared already.
    for (let slot = ROOT + 1; slot < this.#deviceNumbers.length; slot++) {
      if (this.#deviceNumbers[slot] !== 0) {
        this.#descriptors.close(slot);
        this.#devices.release(this.device(slot));
      }
    }
    this.#deviceNumbers = new Int32Array(0);
    this.#index.clear();
    this.#kept.clear();
    this.#descriptors.handles.useColumn(journal?.fileHandles ?? null);
    this.#devices.useJournal(journal);
    const { maxInodes } = this.#options;
    if (journal === null) {
      this.#ids = new SlotIds(maxInodes);
      this.#types = new Int32Array(0);
      this.#counts = new Float64Array(0);
      this.#inos = new Uint32Array(0);
      this.#ids.take();
      this.#grow(this.#ids.capacity);
    } else {
      this.#ids = new SlotIds(maxInodes, { ids: journal.inodeIds, mark: journal.inodeMark });
      this.#types = journal.types;
      this.#counts = journal.lookups;
      this.#inos = journal.inos;
      this.#growOwn(this.#ids.capacity);
      if (!this.#ids.isUsed(ROOT)) {
        this.#ids.take();
      }
    }
    const { status } = this.#descriptors;
    if (status.ofFd(root) === 0) {
      this.#inos[2] = status.inoLo;
      this.#inos[3] = status.inoHi;
    }
    this.#types[ROOT] = S_IFDIR;
    this.#descriptors.adopt(ROOT, root);
    this.#deviceNumbers[ROOT] = device.number;
    this.#journal = journal;
  }

  /**
   * Brings back what the journal tells of: those that nobody looked up go, the rest is opened when it is asked for.
   * @param devices - by record
   * @returns how many cannot be reached by this process
   */
  restore(journal: ShareJournal, devices: readonly (Device | undefined)[]): number {
    let lost = 0;
    for (let slot = ROOT + 1; slot < this.#ids.end; slot++) {
      if (!this.#ids.isUsed(slot)) {
        continue;
      }
      const device = devices[this.#types[slot]! >>> RECORD_SHIFT];
      const count = this.#counts[slot]!;
      const counted = Number.isSafeInteger(count) && count > 0;
      if (device === undefined || !counted) {
        lost += counted ? 1 : 0;
        this.#remove(slot);
        continue;
      }
      device.users++;
      this.#deviceNumbers[slot] = device.number;
      this.#descriptors.setGivenUp(slot);
      const kept = journal.store.take(inodeName(this.nodeid(slot)));
      if (kept !== null) {
        this.#kept.add(slot);
        if (this.#isOf(slot, kept.fd)) {
          this.#descriptors.set(slot, kept.take(), false);
        }
        kept.close();
      }
      this.#index.add(slot);
      if (!givesUp(device) && this.fd(slot) < 0) {
        lost++;
        this.#remove(slot);
      }
    }
    return lost;
  }

  #remove(slot: number): void {
    if (this.#deviceNumbers[slot] === 0) {
      // A row of a process before that ended while it cleared them: nothing of it was taken up.
      this.#forgetName(slot);
    } else {
      this.#letGo(slot);
      if (this.#kept.delete(slot)) {
        this.#journal?.store.forget(inodeName(this.nodeid(slot)));
      }
    }
    // Before the slot is free: a later process must not take it for one that was looked up.
    this.#counts[slot] = 0;
    this.#ids.release(slot);
  }

  /** What a process before kept of an inode goes. */
  #forgetName(slot: number): void {
    const store = this.#journal?.store;
    const name = inodeName(this.nodeid(slot));
    const kept = store?.take(name) ?? null;
    if (kept !== null) {
      kept.close();
      store!.forget(name);
    }
  }

  /** True when a descriptor is of the very inode that the columns tell of. */
  #isOf(slot: number, fd: number): boolean {
    const { status } = this.#descriptors;
    const { major, minor, mount } = this.device(slot);
    const inos = this.#inos;
    return (
      status.ofFd(fd) === 0 && status.isFile(inos[2 * slot]!, inos[2 * slot + 1]!, major, minor, mount, this.type(slot))
    );
  }

  /** Ends what this process has of an inode. */
  #letGo(slot: number): void {
    const device = this.device(slot);
    this.#index.delete(slot);
    this.#descriptors.close(slot);
    this.#devices.release(device);
    this.#deviceNumbers[slot] = 0;
  }

  /** Gives up descriptors, until so many are left with those of mounts, or no more can go. */
  #shrink(max: number): void {
    // What is given up is local; a run's code does not hear of it.
    this.#runs.here(() => {
      this.#descriptors.shrink(max - this.#devices.mountFds);
      return 0;
    });
  }

  /**
   * Asks what there is to know of the mount of an inode that is about to be inserted, while its request may still wait. The insertion
   * must follow.
   */
  learnMount(fd: number, status: FileStatus): void {
    if (this.#devices.find(status.devMajor, status.devMinor, status.mount) === undefined) {
      this.#learnt = { magic: this.#devices.magicOf(fd), mountFd: this.#tryHandles(fd, status) };
    }
  }

  /** True for a file of the kernel's own file systems. @param status - what statx said of it */
  isOfKernel(fd: number, { devMajor, devMinor, mount }: FileStatus): boolean {
    // In a run always: another one may have made the mount known when this one is executed anew.
    const device = this.#runs.active === null ? this.#devices.find(devMajor, devMinor, mount) : undefined;
    return device === undefined ? isOfKernel(this.#devices.magicOf(fd)) : device.ofKernel;
  }

  /** The record of the mount of a new inode. */
  #deviceFor(fd: number, status: FileStatus): Device {
    const { devMajor, devMinor, mount } = status;
    let device = this.#devices.find(devMajor, devMinor, mount);
    let mountFd: number | null = null;
    if (device === undefined) {
      if (this.#learnt === null) {
        this.learnMount(fd, status);
      }
      const learnt = this.#learnt!;
      device = this.#devices.add(devMajor, devMinor, mount, learnt.magic);
      mountFd = learnt.mountFd;
    } else if (device.mountFd < 0 && device.handleErrno === 0 && !device.remote) {
      mountFd = this.#tryHandles(fd, status);
    }
    this.#learnt = null;
    if (mountFd !== null) {
      this.#devices.setMountFd(device, mountFd);
    }
    return device;
  }

  /**
   * A mount's first file that can be opened decides whether file handles serve there.
   * @returns a descriptor of the mount or a negative errno; null: not to be told by this file
   */
  #tryHandles(fd: number, status: FileStatus): number | null {
    if (!this.#options.useHandles || (status.type !== S_IFDIR && status.type !== S_IFREG)) {
      return null;
    }
    const { handles, names, status: again } = this.#descriptors;
    return handles.tryMount(fd, this.#options.procFd, names.number(fd), status, again);
  }

  /** Opens an inode by its handle. @returns a descriptor or a negative errno */
  #openByHandle(slot: number): number {
    const fd = this.#descriptors.handles.open(slot, this.device(slot).mountFd);
    if (fd >= 0 && !this.#isOf(slot, fd)) {
      this.#fd.close(fd);
      return -ESTALE;
    }
    return fd;
  }

  #reopen(slot: number): number {
    const fd = this.#openByHandle(slot);
    if (fd >= 0) {
      this.#descriptors.set(slot, fd, true);
    }
    return fd;
  }

  /** Tells whether a number still means the inode without a descriptor that had it. @returns as `find` */
  #confirm(slot: number, device: Device, dirfd: number, name: Address, flags: number): number {
    const { handles } = this.#descriptors;
    if (handles.matches(slot, dirfd, name, flags, device.mount)) {
      return slot;
    }
    // The entry may have changed since; as long as the inode lives, its number means no other.
    const fd = this.#openByHandle(slot);
    if (fd >= 0) {
      this.#fd.close(fd);
      return slot;
    }
    if (fd !== -ESTALE) {
      return fd;
    }
    this.#index.delete(slot);
    return UNKNOWN;
  }

  #grow(length: number): void {
    this.#types = grownInt32(this.#types, length);
    const counts = new Float64Array(length);
    counts.set(this.#counts);
    this.#counts = counts;
    const inos = new Uint32Array(2 * length);
    inos.set(this.#inos);
    this.#inos = inos;
    this.#growOwn(length);
  }

  /** The columns that stand in no journal. */
  #growOwn(length: number): void {
    this.#descriptors.grow(length);
    this.#deviceNumbers = grownInt32(this.#deviceNumbers, length);
    this.#index.useColumns(this.#inos, this.#deviceNumbers);
  }
}

/**
 * Whether inodes of a mount may give up their descriptors for file handles. Not where opening by handle asks a server: that a later
 * request waits for it must not depend on how many others are known.
 */
function givesUp(device: Device): boolean {
  return device.mountFd >= 0 && !device.remote;
}
