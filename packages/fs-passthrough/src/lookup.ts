/** From names to inodes: one statx for an inode that is known, an O_PATH descriptor only for a new one. */
import { type Entry, FUSE_ATTR_SUBMOUNT, type Intent } from '@oriel/fuse';
import { type Address, EMFILE, ENFILE, S_IFDIR } from '@oriel/sys';
import { UNKNOWN } from './inode-rows.ts';
import type { Share } from './share.ts';

/** Looks names up and fills entries. */
export class Lookup {
  readonly #share: Share;

  constructor(share: Share) {
    this.#share = share;
  }

  /**
   * Finds the inode of a directory's entry, adding it to the table at need, uncounted. The share's status then is its.
   * @param dirfd - the directory, O_PATH or open; a negative errno comes back as it is
   * @param subject - what to call the name in a log
   * @returns the inode's slot, a negative errno, or ELSEWHERE
   */
  find(dirfd: number, name: Address, subject: { toString(): string }): number {
    const known = this.known(dirfd, name);
    if (known !== UNKNOWN) {
      return known;
    }
    const fd = this.openNew(dirfd, name, subject);
    // The name may stand for another file by now: what the descriptor says counts.
    return fd < 0 ? fd : this.adopt(fd);
  }

  /** As `find`, but an inode that is not known stays so. @returns as `find`, or UNKNOWN */
  known(dirfd: number, name: Address): number {
    if (dirfd < 0) {
      return dirfd;
    }
    const { status, inodes } = this.#share;
    const failed = status.ofEntry(dirfd, name);
    const known = failed < 0 ? failed : inodes.find(status, dirfd, name, 0);
    return known >= 0 && this.#isElsewhere(known)
      ? this.#share.routes.waitElsewhere(status.devMajor, status.devMinor)
      : known;
  }

  /**
   * Finds the inode of an O_PATH descriptor, which is given away, adding it at need, uncounted.
   * @returns as `find`
   */
  adopt(fd: number): number {
    const { status, inodes, fd: sysFd } = this.#share;
    const failed = status.ofFd(fd);
    if (failed < 0) {
      sysFd.close(fd);
      return failed;
    }
    const known = inodes.findFd(status, fd);
    if (known !== UNKNOWN) {
      sysFd.close(fd);
      return known;
    }
    if (inodes.full) {
      sysFd.close(fd);
      return -ENFILE;
    }
    inodes.mounts.learn(fd, status);
    this.#share.commit();
    return inodes.insert(fd, status);
  }

  /**
   * Counts a lookup of an inode and fills the answer from the share's status.
   * @param parent - slot of the directory in which it was found
   * @param intent - where the count is noted first
   */
  answer(entry: Entry, slot: number, parent: number, intent: Intent | null): void {
    const { inodes } = this.#share;
    if (intent !== null) {
      intent.counts(inodes.nodeid(slot), inodes.count(slot));
    }
    inodes.addLookup(slot);
    this.fill(entry, slot, parent);
  }

  /** Fills an answer whose lookup is counted already. */
  fill(entry: Entry, slot: number, parent: number): void {
    const { status, inodes, settings } = this.#share;
    entry.nodeid = inodes.nodeid(slot);
    entry.generation = 0;
    entry.entryValidSec = settings.cache.validSec;
    entry.entryValidNs = 0;
    const attr = entry.attr;
    status.fill(attr);
    attr.validSec = settings.cache.validSec;
    attr.validNs = 0;
    attr.flags =
      settings.announceSubmounts && inodes.type(slot) === S_IFDIR && inodes.device(slot) !== inodes.device(parent)
        ? FUSE_ATTR_SUBMOUNT
        : 0;
  }

  /** True when another inode has room; else says so in the log. */
  roomFor(subject: { toString(): string }): boolean {
    const { inodes, rareLog } = this.#share;
    if (inodes.full) {
      rareLog.warn('the guest knows as many inodes as limits.maxInodes allows: ENFILE', subject);
      return false;
    }
    if (inodes.outOfDescriptors) {
      rareLog.warn(
        'as many inodes as limits.maxInodeDescriptors allows cannot be reached by file handle: ENFILE',
        subject,
      );
      return false;
    }
    return true;
  }

  /**
   * Opens an entry whose inode is not known, to be adopted.
   * @returns an O_PATH descriptor, or a negative errno
   */
  openNew(dirfd: number, name: Address, subject: { toString(): string }): number {
    if (!this.roomFor(subject)) {
      return -ENFILE;
    }
    const fd = this.#share.openEntryPath(dirfd, name);
    if (fd === -EMFILE || fd === -ENFILE) {
      this.#share.rareLog.warn('out of descriptors: raise RLIMIT_NOFILE or lower limits.maxInodeDescriptors', subject);
    }
    return fd;
  }

  /** True when what is in a local directory lies on a mount that may not answer, or of which nothing is known yet. */
  #isElsewhere(known: number): boolean {
    const { devices, inodes, runs, status } = this.#share;
    if (!runs.enabled || runs.active !== null) {
      return false;
    }
    const device =
      known === UNKNOWN ? devices.find(status.devMajor, status.devMinor, status.mount) : inodes.device(known);
    return device === undefined || device.remote;
  }
}
