/**
 * The inodes that the guest knows. An O_PATH descriptor pins the host's inode, so that an equal (device, mount, inode number)
 * means the same file; where there are too many, a file handle takes a descriptor's place, and tells whether the number still
 * means that file.
 */
import { S_IFDIR } from '@oriel/sys';
import type { Device } from './devices.ts';
import type { FileStatus } from './file-status.ts';
import { InodeAccess, type InodeLimits } from './inode-access.ts';
import type { InodeSupport } from './inode-descriptors.ts';
import { type HandleOptions, InodeMounts } from './inode-mounts.ts';
import { ROOT } from './inode-rows.ts';
import { KeptInodes } from './survival/kept-inodes.ts';
import type { ShareJournal } from './survival/share-journal.ts';

/** What an inode table is told. */
export interface InodeTableOptions extends InodeLimits, HandleOptions {}

/**
 * The inode table. It owns its descriptors, and lends one until the request ends: `slotOf` is called when a request begins,
 * and with `insert` it is the only place where descriptors are closed to make room.
 */
export class Inodes extends InodeAccess implements Disposable {
  /** Mounts of inodes that are about to be inserted. */
  readonly mounts: InodeMounts;
  readonly #kept: KeptInodes;
  #journal: ShareJournal | null = null;

  constructor(support: InodeSupport, options: InodeTableOptions) {
    super(support, options);
    this.mounts = new InodeMounts(support, this.fds, this.names, options);
    this.#kept = new KeptInodes(support.places, this);
  }

  /**
   * Adds an inode with no lookups yet; its descriptor is given away.
   * @param fd - O_PATH descriptor
   * @param status - what statx said of that descriptor
   * @returns the slot, or -1 when the table is full (the descriptor then stays with the caller)
   */
  insert(fd: number, status: FileStatus): number {
    const slot = this.ids.take();
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
    return this.ids.used === 1 && this.ids.prepare(end, uses);
  }

  /** As `insert`, with the nodeid and the lookups that the inode has in another share. */
  insertAs(nodeid: number, fd: number, status: FileStatus, count: number): number {
    const slot = this.ids.place(nodeid);
    if (slot >= 0) {
      this.#put(slot, fd, status);
      this.counts[slot] = count;
    }
    return slot;
  }

  /** An inode that had no name has one now: its descriptor may be given up. */
  linked(slot: number): void {
    if (slot !== ROOT && this.device(slot).givesUp) {
      this.fds.release(slot);
    }
  }

  /** Takes lookups away; at none left the inode goes. More than there are count as all; the root stays. */
  forget(slot: number, count: number): void {
    if (slot === ROOT) {
      return;
    }
    const left = this.counts[slot]! - count;
    if (left > 0) {
      this.counts[slot] = left;
    } else {
      this.#remove(slot);
    }
  }

  /** Removes all but the root. */
  clear(): void {
    for (let slot = ROOT + 1; slot < this.ids.end; slot++) {
      if (this.ids.isUsed(slot)) {
        this.#remove(slot);
      }
    }
  }

  [Symbol.dispose](): void {
    this.clear();
    if (this.ids.isUsed(ROOT)) {
      this.#remove(ROOT);
    }
    this.names[Symbol.dispose]();
    this.fds[Symbol.dispose]();
  }

  /**
   * The last name of an inode is about to go: a later process finds it by its descriptor alone, which is kept.
   * @returns false when it is not
   */
  keep(slot: number): boolean {
    if (this.#kept.has(slot)) {
      return true;
    }
    const fd = this.#journal === null ? -1 : this.fd(slot);
    return fd >= 0 && this.#kept.keep(slot, fd);
  }

  /**
   * The columns stand in a journal from now on, or (null) in memory of its own. Only the root is known after it; what the
   * journal of before says stays.
   */
  useJournal(journal: ShareJournal | null): void {
    this.#journal = null;
    const device = this.device(ROOT);
    const root = this.fds.fd(ROOT);
    // Not by the columns: the journal of before may be cleared already.
    for (let slot = ROOT + 1; slot < this.deviceNumbers.length; slot++) {
      if (this.deviceNumbers[slot] !== 0) {
        this.fds.close(slot);
        this.devices.release(this.device(slot));
      }
    }
    this.#kept.useStore(journal?.store ?? null);
    this.fds.handles.useColumn(journal?.fileHandles ?? null);
    this.devices.useJournal(journal);
    this.useColumns(journal);
    this.fds.grow(this.ids.capacity);
    const { status } = this.fds;
    if (status.ofFd(root) === 0) {
      this.inos[2] = status.inoLo;
      this.inos[3] = status.inoHi;
    }
    this.types[ROOT] = S_IFDIR;
    this.fds.adopt(ROOT, root);
    this.deviceNumbers[ROOT] = device.number;
    this.#journal = journal;
  }

  /**
   * Brings back what the journal tells of: those that nobody looked up go, the rest is opened when it is asked for.
   * @param devices - by record
   * @returns how many cannot be reached by this process
   */
  restore(devices: readonly (Device | undefined)[]): number {
    let lost = 0;
    for (let slot = ROOT + 1; slot < this.ids.end; slot++) {
      if (!this.ids.isUsed(slot)) {
        continue;
      }
      const device = devices[this.record(slot)];
      const count = this.counts[slot]!;
      const counted = Number.isSafeInteger(count) && count > 0;
      if (device === undefined || !counted) {
        lost += counted ? 1 : 0;
        this.#remove(slot);
        continue;
      }
      device.users++;
      this.deviceNumbers[slot] = device.number;
      this.#takeUp(slot);
      this.index.add(slot);
      if (!device.givesUp && this.fd(slot) < 0) {
        lost++;
        this.#remove(slot);
      }
    }
    return lost;
  }

  #put(slot: number, fd: number, status: FileStatus): void {
    this.reserve();
    this.fds.grow(this.ids.capacity);
    const device = this.mounts.of(fd, status);
    device.users++;
    this.fds.makeRoom(1);
    this.fds.set(slot, fd, slot !== ROOT && device.givesUp);
    this.write(slot, device, status);
    if (this.#journal !== null) {
      this.setRecord(slot, device.journalRecord);
      if (device.mountFd >= 0) {
        this.fds.handles.keep(slot, fd);
      }
    }
    // The root is never found by a look-up: no reply but INIT's may name it.
    if (slot !== ROOT) {
      this.index.add(slot);
    }
  }

  /** Puts the descriptor of an inode of a process before in its place, if that was kept. */
  #takeUp(slot: number): void {
    this.fds.setGivenUp(slot);
    const kept = this.#kept.take(slot);
    if (kept !== null && this.fds.isOf(slot, kept.fd)) {
      this.fds.set(slot, kept.take(), false);
    }
    kept?.close();
  }

  #remove(slot: number): void {
    if (this.deviceNumbers[slot] === 0) {
      // A row of a process before that ended while it cleared them: nothing of it was taken up.
      this.#kept.take(slot)?.close();
    } else {
      this.#letGo(slot);
    }
    this.#kept.drop(slot);
    // Before the slot is free: a later process must not take it for one that was looked up.
    this.counts[slot] = 0;
    this.ids.release(slot);
  }

  /** Ends what this process has of an inode. */
  #letGo(slot: number): void {
    const device = this.device(slot);
    this.index.delete(slot);
    this.fds.close(slot);
    this.devices.release(device);
    this.deviceNumbers[slot] = 0;
  }
}
