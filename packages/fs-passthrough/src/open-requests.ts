/** OPEN, CREATE, TMPFILE, FLUSH and RELEASE. */
import type { Name, Operation } from '@oriel/fuse';
import {
  type Address,
  EACCES,
  EAGAIN,
  EBADF,
  EEXIST,
  EISDIR,
  ELOOP,
  ENFILE,
  ENOENT,
  EROFS,
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_EXCL,
  O_NOCTTY,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  S_IFDIR,
  S_IFLNK,
  S_IFREG,
} from '@oriel/sys';
import type { FileOpener } from './file-opener.ts';
import { FILE } from './handles.ts';
import { type Labels, NAMELESS } from './labels.ts';
import type { Lookup } from './lookup.ts';
import type { Share } from './share.ts';
import type { OwnEffects } from './survival/own-effects.ts';

const MODE_BITS = 0o7777;

/** Requests that open and close files. */
export class OpenRequests {
  readonly #share: Share;
  readonly #lookup: Lookup;
  readonly #opener: FileOpener;
  readonly #own: OwnEffects;
  readonly #labels: Labels;

  constructor(share: Share, lookup: Lookup, opener: FileOpener, own: OwnEffects, labels: Labels) {
    this.#share = share;
    this.#own = own;
    this.#labels = labels;
    this.#lookup = lookup;
    this.#opener = opener;
  }

  open(op: Operation, nodeid: number, flags: number, killSuidgid: boolean): number {
    this.#own.takeBack(op.intent);
    const slot = this.#share.inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    const refused = this.#refusal(this.#share.inodes.type(slot), flags, slot);
    if (refused < 0) {
      return refused;
    }
    const device = this.#share.inodes.device(slot);
    if (device.ofKernel) {
      return -EACCES;
    }
    const { inodes, status } = this.#share;
    const kills = killSuidgid && (flags & O_TRUNC) !== 0;
    const unknown = kills ? status.ofFd(inodes.fd(slot)) : 0;
    const number = unknown < 0 ? unknown : inodes.number(slot);
    const fd = number < 0 ? number : this.#opener.open(number, flags, killSuidgid);
    if (fd === -EAGAIN && this.#share.runs.active === null) {
      return this.#share.routes.waitElsewhere(device.major, device.minor);
    }
    return fd < 0 ? fd : this.#opener.answer(op, fd, nodeid, device, flags);
  }

  create(op: Operation, parent: number, name: Name, flags: number, mode: number, killSuidgid: boolean): number {
    const { inodes, handles, settings } = this.#share;
    const directory = inodes.slotOf(parent);
    if (directory < 0) {
      return -EBADF;
    }
    const { intent } = op;
    const counted = this.#own.finished(intent);
    if (counted >= 0) {
      return this.#answerFinished(op, directory, counted, flags);
    }
    this.#own.takeBack(intent);
    if (settings.readonly) {
      const result = this.#createExisting(op, directory, name, flags, killSuidgid);
      return result === -ENOENT ? -EROFS : result;
    }
    if (inodes.device(directory).ofKernel) {
      return -EACCES;
    }
    if (!this.#lookup.roomFor(name) || handles.full(FILE)) {
      return -ENFILE;
    }
    const dirfd = inodes.fd(directory);
    if (intent !== null && dirfd >= 0) {
      if (this.#own.isMade(op, dirfd, name.addr, mode)) {
        return this.#createAgain(op, directory, name, flags & ~O_EXCL, killSuidgid);
      }
      this.#own.note(intent, 0, dirfd, name.addr);
    }
    const fd = this.#createEntry(op, dirfd, name.addr, O_CREAT | O_EXCL, flags, mode);
    if (fd === -EEXIST && (flags & O_EXCL) === 0) {
      return this.#createExisting(op, directory, name, flags, killSuidgid);
    }
    return fd < 0 ? fd : this.#created(op, directory, fd, flags, dirfd, name.addr);
  }

  tmpfile(op: Operation, parent: number, flags: number, mode: number): number {
    const { inodes, handles, settings, scratch } = this.#share;
    const directory = inodes.slotOf(parent);
    if (directory < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    if (inodes.device(directory).ofKernel) {
      return -EACCES;
    }
    if (!this.#lookup.roomFor('a file without a name') || handles.full(FILE)) {
      return -ENFILE;
    }
    const { intent } = op;
    const counted = this.#own.finished(intent);
    if (counted >= 0) {
      return this.#answerFinished(op, directory, counted, flags);
    }
    this.#own.takeBack(intent);
    const making = O_TMPFILE | (flags & O_EXCL);
    const fd = this.#createEntry(op, inodes.fd(directory), scratch.dot, making, flags, mode);
    const result = fd < 0 ? fd : this.#created(op, directory, fd, flags, -1, NAMELESS);
    if (result === 0 && intent !== null) {
      this.#own.keepNameless(inodes.slotOf(op.entry.nodeid));
    }
    return result;
  }

  /** close() of a copy: what a file system does at the close of one of several descriptors, it does now. */
  flush(fh: number): number {
    const { handles, fd } = this.#share;
    const slot = handles.slotOf(fh, FILE);
    if (slot < 0) {
      return -EBADF;
    }
    // Those known to be local do nothing then.
    if (handles.device(slot).local) {
      return 0;
    }
    const copy = fd.dup(handles.fd(slot));
    return copy < 0 ? copy : fd.closeHeard(copy);
  }

  release(op: Operation, fh: number, kind: number): number {
    const slot = this.#share.handles.slotOf(fh, kind);
    if (slot < 0) {
      // A process that ended has closed it.
      return op.intent?.again ? 0 : -EBADF;
    }
    this.#share.handles.release(slot);
    return 0;
  }

  /** Why an inode may not be opened: a negative errno, or 0. Special files are the driver's own business. */
  #refusal(type: number, flags: number, subject: { toString(): string }): number {
    const { handles, settings, rareLog } = this.#share;
    if (type !== S_IFREG) {
      return type === S_IFDIR ? -EISDIR : type === S_IFLNK ? -ELOOP : -EBADF;
    }
    if (settings.readonly && ((flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0)) {
      return -EROFS;
    }
    if (handles.full(FILE)) {
      rareLog.warn('the guest has as many files open as limits.maxHandles allows: ENFILE', subject);
      return -ENFILE;
    }
    return 0;
  }

  /**
   * Makes a file as the caller.
   * @param dirfd - the directory; a negative errno comes back as it is
   * @returns the file's descriptor or a negative errno
   */
  #createEntry(op: Operation, dirfd: number, name: Address, making: number, flags: number, mode: number): number {
    if (dirfd < 0) {
      return dirfd;
    }
    const { credentials } = this.#share;
    const failed = this.#share.become(op);
    if (failed < 0) {
      return failed;
    }
    // A new file has nothing to truncate, and openat2 refuses O_TRUNC with O_TMPFILE.
    const hostFlags = (this.#share.hostFlags(flags) & ~O_TRUNC) | making | O_NOCTTY;
    try {
      return this.#share.openEntry(dirfd, name, hostFlags, mode & MODE_BITS);
    } finally {
      credentials.restore();
    }
  }

  /** Answers for a file just made. @param dirfd - where it has `name`, if that is not NAMELESS */
  #created(op: Operation, directory: number, fd: number, flags: number, dirfd: number, name: Address): number {
    const { inodes, file, procFd, fd: sysFd } = this.#share;
    const pathFd = file.openat(procFd, inodes.names.number(fd), O_PATH | O_CLOEXEC, 0);
    const failed = pathFd < 0 ? pathFd : this.#labels.apply(op, pathFd, S_IFREG, dirfd, name);
    if (failed < 0) {
      if (pathFd >= 0) sysFd.close(pathFd);
      sysFd.close(fd);
      return failed;
    }
    const slot = this.#lookup.adopt(pathFd);
    if (slot < 0) {
      sysFd.close(fd);
      return slot;
    }
    this.#lookup.answer(op.entry, slot, directory, op.intent);
    return this.#opener.answer(op, fd, op.entry.nodeid, inodes.device(slot), flags);
  }

  /** Answers for a file that an earlier process made, counted and opened. */
  #answerFinished(op: Operation, directory: number, slot: number, flags: number): number {
    const { handles, inodes, status } = this.#share;
    const fh = op.intent!.fh;
    const fd = inodes.fd(slot);
    const failed = fd < 0 ? fd : status.ofFd(fd);
    if (failed < 0) {
      return failed;
    }
    if (handles.slotOf(fh, FILE) < 0) {
      return -EBADF;
    }
    this.#lookup.fill(op.entry, slot, directory);
    op.fh = fh;
    op.openFlags = this.#opener.openFlags(op.entry.nodeid, inodes.device(slot), flags);
    return 0;
  }

  /** CREATE of a file that an earlier process made: it may lack its label. */
  #createAgain(op: Operation, directory: number, name: Name, flags: number, killSuidgid: boolean): number {
    const { fd: sysFd, inodes } = this.#share;
    const dirfd = inodes.fd(directory);
    const fd = this.#lookup.openNew(dirfd, name.addr, name);
    if (fd < 0) {
      return fd;
    }
    const failed = this.#labels.apply(op, fd, S_IFREG, dirfd, name.addr);
    sysFd.close(fd);
    return failed < 0 ? failed : this.#createExisting(op, directory, name, flags, killSuidgid);
  }

  /** CREATE of a name that is taken: opens it, and makes its inode known once that is done. */
  #createExisting(op: Operation, directory: number, name: Name, flags: number, killSuidgid: boolean): number {
    if ((flags & O_EXCL) !== 0) {
      return -EEXIST;
    }
    const { fd: sysFd, inodes, status } = this.#share;
    const dirfd = inodes.fd(directory);
    const found = this.#lookup.known(dirfd, name.addr);
    if (found < 0) {
      return found;
    }
    const pathFd = this.#lookup.openNew(dirfd, name.addr, name);
    if (pathFd < 0) {
      return pathFd;
    }
    let result = status.ofFd(pathFd);
    if (result === 0) {
      result = this.#refusal(status.type, flags, name);
    }
    if (result === 0) {
      result = inodes.mounts.isOfKernel(pathFd, status) ? -EACCES : 0;
    }
    const { devMajor, devMinor } = status;
    if (result === 0) {
      result = this.#opener.open(inodes.names.number(pathFd), flags, killSuidgid);
    }
    if (result < 0) {
      sysFd.close(pathFd);
      return result === -EAGAIN && this.#share.runs.active === null
        ? this.#share.routes.waitElsewhere(devMajor, devMinor)
        : result;
    }
    const fd = result;
    // It looks at the file anew: the open may have truncated it.
    const slot = this.#lookup.adopt(pathFd);
    if (slot < 0) {
      sysFd.close(fd);
      return slot;
    }
    this.#lookup.answer(op.entry, slot, directory, op.intent);
    return this.#opener.answer(op, fd, op.entry.nodeid, inodes.device(slot), flags);
  }
}
