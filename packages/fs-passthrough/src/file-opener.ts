/** Opens known regular files, waiting where it must, and makes handles of what was opened. */
import { FOPEN_KEEP_CACHE, FOPEN_NOFLUSH, type Operation, PENDING } from '@oriel/fuse';
import { EAGAIN, EIO, ENFILE, O_ACCMODE, O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDONLY, O_TRUNC, SYS } from '@oriel/sys';
import type { Device } from './devices.ts';
import { FILE } from './handles.ts';
import type { Lookup } from './lookup.ts';
import type { Share } from './share.ts';

/** No inode has slot 0. */
export const NO_DIRECTORY = 0;

/** Opens files. */
export class FileOpener {
  readonly #share: Share;
  readonly #lookup: Lookup;
  /** Tells whether an inode is in DAX use. */
  inDaxUse: (nodeid: number) => boolean = () => false;

  constructor(share: Share, lookup: Lookup) {
    this.#share = share;
    this.#lookup = lookup;
  }

  /**
   * Opens an inode; a file under somebody's lease in a helper thread.
   * @param directory - where the file was found, for a request that wants its entry, or NO_DIRECTORY
   * @returns a descriptor, a negative errno, or PENDING
   */
  open(op: Operation, slot: number, flags: number, killSuidgid: boolean, directory: number): number {
    const kill = killSuidgid && (flags & O_TRUNC) !== 0;
    const fd = this.#openInode(slot, flags, kill, O_NONBLOCK);
    if (fd !== -EAGAIN) {
      return fd;
    }
    // A helper thread's rights are not changed, so it cannot clear set-id bits.
    return !kill && this.#openSlowly(op, slot, flags, directory) ? PENDING : this.#openInode(slot, flags, kill, 0);
  }

  /** @param nonblock - O_NONBLOCK: a lease that somebody has on the file gives EAGAIN, else it blocks for up to 45 s */
  #openInode(slot: number, flags: number, killSuidgid: boolean, nonblock: number): number {
    const hostFlags = this.#share.hostFlags(flags) | O_NOCTTY | nonblock;
    if (!killSuidgid) {
      return this.#share.openInode(slot, hostFlags);
    }
    const { credentials } = this.#share;
    const failed = credentials.dropFsetid();
    if (failed < 0) {
      return failed;
    }
    try {
      return this.#share.openInode(slot, hostFlags);
    } finally {
      credentials.regainFsetid();
    }
  }

  /**
   * Waits in a helper thread until the lease on a file has ended.
   * @param directory - as `open`
   * @returns false when that cannot be done now
   */
  #openSlowly(op: Operation, slot: number, flags: number, directory: number): boolean {
    const share = this.#share;
    const { calls, devices, inodes, procFd, epoch } = share;
    // A copy, since the inode may be forgotten meanwhile and its descriptor's number stand for anything.
    const fd = calls.enabled ? inodes.fd(slot) : -1;
    const pathFd = fd < 0 ? -1 : share.fd.dup(fd);
    if (pathFd < 0) {
      return false;
    }
    const nodeid = inodes.nodeid(slot);
    const device = inodes.device(slot);
    const opened = (fd: number): number => {
      let result = fd;
      if (fd >= 0 && share.epoch !== epoch) {
        share.fd.close(fd);
        result = -EIO;
      } else if (fd >= 0) {
        if (directory !== NO_DIRECTORY && share.status.ofFd(fd) === 0) {
          share.status.fill(op.entry.attr);
        }
        result = this.answer(op, fd, nodeid, device, flags);
      }
      if (result < 0 && directory !== NO_DIRECTORY) {
        this.#forget(nodeid);
      }
      devices.release(device);
      return result;
    };
    const hostFlags = share.hostFlags(flags) | O_NOCTTY | O_CLOEXEC;
    device.users++;
    if (!calls.open(op, SYS.openat, procFd, pathFd, hostFlags, opened)) {
      devices.release(device);
      share.fd.close(pathFd);
      return false;
    }
    // Now, and not at the end: the driver may forget what it knows of the inode by other requests.
    if (directory !== NO_DIRECTORY) {
      this.#lookup.answer(op.entry, slot, directory, op.intent);
    }
    return true;
  }

  /** Takes a lookup back, if the inode is still known. */
  #forget(nodeid: number): void {
    const { inodes } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot >= 0) {
      inodes.forget(slot, 1);
    }
  }

  /** Makes a handle of a descriptor, which is given away, and answers with it. @returns 0 or -ENFILE */
  answer(op: Operation, fd: number, nodeid: number, device: Device, flags: number): number {
    const { handles, fd: sysFd } = this.#share;
    if (handles.full(FILE)) {
      sysFd.close(fd);
      return -ENFILE;
    }
    if (op.intent !== null) {
      op.intent.fh = handles.nextFh;
    }
    const handle = handles.insert(fd, FILE, device, nodeid, this.#share.hostFlags(flags) | O_NOCTTY);
    op.fh = handles.fh(handle);
    op.openFlags = this.openFlags(nodeid, device, flags);
    return 0;
  }

  /** FOPEN_* of a handle. @param flags - O_* of its open */
  openFlags(nodeid: number, device: Device, flags: number): number {
    const { settings } = this.#share;
    let openFlags = settings.cache.fileFlags;
    if (settings.daxKeepCache && this.inDaxUse(nodeid)) {
      openFlags |= FOPEN_KEEP_CACHE;
    }
    // Nothing happens on a local disk at close, but that locks end; a file open for writing must still push out what was stored by mmap.
    if (device.local && (flags & O_ACCMODE) === O_RDONLY && !settings.posixLocks) {
      openFlags |= FOPEN_NOFLUSH;
    }
    return openFlags;
  }
}
