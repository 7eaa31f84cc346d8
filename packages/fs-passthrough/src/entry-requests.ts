/** Requests on names: LOOKUP, and all that make, move or take away an entry of a directory. */
import type { Name, Operation } from '@oriel/fuse';
import {
  type Address,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  EBADF,
  EINVAL,
  ENFILE,
  EPERM,
  EROFS,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
} from '@oriel/sys';
import type { Labels } from './labels.ts';
import type { Lookup } from './lookup.ts';
import type { Share } from './share.ts';
import type { OwnEffects } from './survival/own-effects.ts';

const RENAME_FLAGS = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;
/** Permission bits and the three above them. */
const MODE_BITS = 0o7777;
/** No target: not a symbolic link. */
const NOWHERE: Address = 0;

/** Requests on names. */
export class EntryRequests {
  readonly #share: Share;
  readonly #lookup: Lookup;
  readonly #own: OwnEffects;
  readonly #labels: Labels;

  constructor(share: Share, lookup: Lookup, own: OwnEffects, labels: Labels) {
    this.#share = share;
    this.#lookup = lookup;
    this.#own = own;
    this.#labels = labels;
  }

  lookup(op: Operation, parent: number, name: Name): number {
    this.#own.takeBack(op.intent);
    const directory = this.#share.inodes.slotOf(parent);
    return directory < 0 ? -EBADF : this.#answer(op, directory, name);
  }

  readlink(nodeid: number, to: Address, len: number): number {
    const { inodes, file, scratch } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    if (inodes.type(slot) !== S_IFLNK) {
      return -EINVAL;
    }
    const fd = inodes.fd(slot);
    return fd < 0 ? fd : file.readlinkat(fd, scratch.empty, to, len);
  }

  mkdir(op: Operation, parent: number, name: Name, mode: number): number {
    return this.#make(op, parent, name, S_IFDIR | (mode & MODE_BITS), 0, NOWHERE);
  }

  /** @param rdev - the kernel's 32-bit form, which the system call takes as well */
  mknod(op: Operation, parent: number, name: Name, mode: number, rdev: number): number {
    const type = mode & S_IFMT;
    return type === S_IFDIR ? -EPERM : type === S_IFLNK ? -EINVAL : this.#make(op, parent, name, mode, rdev, NOWHERE);
  }

  symlink(op: Operation, parent: number, name: Name, target: Name): number {
    return this.#make(op, parent, name, S_IFLNK, 0, target.addr);
  }

  link(op: Operation, nodeid: number, newParent: number, newName: Name): number {
    const { file, inodes, procFd, settings, status } = this.#share;
    const slot = inodes.slotOf(nodeid);
    const directory = inodes.slotOf(newParent);
    if (slot < 0 || directory < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    const fd = inodes.fd(slot);
    const dirfd = inodes.fd(directory);
    if (fd < 0 || dirfd < 0) {
      return fd < 0 ? fd : dirfd;
    }
    const { intent } = op;
    const counted = this.#own.finished(intent);
    if (counted >= 0) {
      return this.#answerKnown(op, directory, counted);
    }
    this.#own.takeBack(intent);
    let result = 0;
    if (!this.#own.isLinked(intent, dirfd, newName.addr, slot)) {
      if (intent !== null) {
        this.#own.note(intent, 0, dirfd, newName.addr);
      }
      result = file.linkat(procFd, inodes.names.number(fd), dirfd, newName.addr, AT_SYMLINK_FOLLOW);
    }
    if (result === 0) {
      inodes.linked(slot);
      result = status.ofFd(fd);
    }
    if (result === 0) {
      this.#lookup.answer(op.entry, slot, directory, intent);
    }
    return result;
  }

  unlink(op: Operation, parent: number, name: Name): number {
    return this.#remove(op, parent, name, 0);
  }

  rmdir(op: Operation, parent: number, name: Name): number {
    return this.#remove(op, parent, name, AT_REMOVEDIR);
  }

  rename(op: Operation, parent: number, name: Name, newParent: number, newName: Name, flags: number): number {
    const { file, inodes, settings } = this.#share;
    const from = inodes.slotOf(parent);
    const to = inodes.slotOf(newParent);
    if (from < 0 || to < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    if ((flags & ~RENAME_FLAGS) !== 0) {
      return -EINVAL;
    }
    const fromFd = inodes.fd(from);
    const toFd = inodes.fd(to);
    if (fromFd < 0 || toFd < 0) {
      return fromFd < 0 ? fromFd : toFd;
    }
    const { intent } = op;
    if (this.#own.isRenamed(intent, toFd, newName.addr)) {
      return 0;
    }
    if (intent !== null) {
      this.#own.note(intent, 0, fromFd, name.addr);
      if ((flags & RENAME_EXCHANGE) === 0) {
        this.#own.noteGoing(intent, 1, toFd, newName.addr);
      } else {
        this.#own.note(intent, 1, toFd, newName.addr);
      }
    }
    return file.renameat2(fromFd, name.addr, toFd, newName.addr, flags);
  }

  #remove(op: Operation, parent: number, name: Name, flags: number): number {
    const { file, inodes, settings } = this.#share;
    const directory = inodes.slotOf(parent);
    if (directory < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    const dirfd = inodes.fd(directory);
    if (dirfd < 0) {
      return dirfd;
    }
    const { intent } = op;
    if (this.#own.isGone(intent, dirfd, name.addr)) {
      return 0;
    }
    if (intent !== null) {
      this.#own.noteGoing(intent, 0, dirfd, name.addr);
    }
    return file.unlinkat(dirfd, name.addr, flags);
  }

  /** Makes what is no regular file to be opened, as the caller, and answers with its entry. */
  #make(op: Operation, parent: number, name: Name, mode: number, rdev: number, target: Address): number {
    const { credentials, inodes, settings } = this.#share;
    const directory = inodes.slotOf(parent);
    if (directory < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    const { intent } = op;
    const counted = this.#own.finished(intent);
    if (counted >= 0) {
      return this.#answerKnown(op, directory, counted);
    }
    this.#own.takeBack(intent);
    // Before it is made: afterwards it could only be made known.
    if (!this.#lookup.roomFor(name)) {
      return -ENFILE;
    }
    // Before the rights to open it again are given up.
    const dirfd = inodes.fd(directory);
    if (dirfd < 0) {
      return dirfd;
    }
    if (this.#own.isMade(op, dirfd, name.addr, mode)) {
      return this.#answerNew(op, directory, dirfd, name, mode);
    }
    if (intent !== null) {
      this.#own.note(intent, 0, dirfd, name.addr);
    }
    let result = this.#share.become(op);
    if (result === 0) {
      try {
        result = this.#makeNode(dirfd, name.addr, mode, rdev, target);
      } finally {
        credentials.restore();
      }
    }
    return result < 0 ? result : this.#answerNew(op, directory, dirfd, name, mode);
  }

  #makeNode(dirfd: number, name: Address, mode: number, rdev: number, target: Address): number {
    const { file } = this.#share;
    switch (mode & S_IFMT) {
      case S_IFDIR:
        return file.mkdirat(dirfd, name, mode & MODE_BITS);
      case S_IFLNK:
        return file.symlinkat(target, dirfd, name);
      default:
        return file.mknodat(dirfd, name, mode, rdev);
    }
  }

  /** Answers for what was just made. */
  #answerNew(op: Operation, directory: number, dirfd: number, name: Name, mode: number): number {
    const fd = this.#lookup.openNew(dirfd, name.addr, name);
    if (fd < 0) {
      return fd;
    }
    const failed = this.#labels.apply(op, fd, mode & S_IFMT, dirfd, name.addr);
    if (failed < 0) {
      this.#share.fd.close(fd);
      return failed;
    }
    const slot = this.#lookup.adopt(fd);
    if (slot < 0) {
      return slot;
    }
    this.#lookup.answer(op.entry, slot, directory, op.intent);
    return 0;
  }

  #answer(op: Operation, directory: number, name: Name): number {
    const slot = this.#lookup.find(this.#share.inodes.fd(directory), name.addr, name);
    if (slot < 0) {
      return slot;
    }
    this.#lookup.answer(op.entry, slot, directory, op.intent);
    return 0;
  }

  /** Answers for an inode that an earlier process made and counted. */
  #answerKnown(op: Operation, directory: number, slot: number): number {
    const { inodes, status } = this.#share;
    const fd = inodes.fd(slot);
    const failed = fd < 0 ? fd : status.ofFd(fd);
    if (failed < 0) {
      return failed;
    }
    this.#lookup.fill(op.entry, slot, directory);
    return 0;
  }
}
