/** Requests on the contents of open files: what is cached is done at once, what would block goes to helper threads. */
import { FUSE_WRITE_CACHE, FUSE_WRITE_KILL_SUIDGID, type IoVector, type Operation, PENDING } from '@oriel/fuse';
import {
  EAGAIN,
  EBADF,
  EFAULT,
  EINVAL,
  EOPNOTSUPP,
  EOVERFLOW,
  EROFS,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  O_APPEND,
  O_NONBLOCK,
  O_RDONLY,
  RWF_APPEND,
  RWF_NOWAIT,
  S_IFDIR,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  SEEK_DATA,
  SEEK_HOLE,
  SYS,
} from '@oriel/sys';
import { FILE } from './handles.ts';
import { CALLS } from './remote/call-shapes.ts';
import type { Share } from './share.ts';
import { OwnAppends } from './survival/own-appends.ts';

const FALLOCATE_MODES = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;

/** Bytes of one request whose data is copied on its way. */
const TRANSFER_MAX = 4 * 1024 * 1024;

/** Requests on contents. */
export class DataRequests {
  readonly #share: Share;
  readonly #own: OwnAppends;

  constructor(share: Share) {
    this.#share = share;
    this.#own = new OwnAppends(share);
  }

  read(op: Operation, fh: number, offset: number, io: IoVector): number {
    const { handles, file, calls, runs } = this.#share;
    const slot = handles.slotOf(fh, FILE);
    if (slot < 0) {
      return -EBADF;
    }
    const fd = handles.fd(slot);
    const run = runs.active;
    if (run !== null) {
      const got = run.call(CALLS.pread, [fd, Math.min(io.len, TRANSFER_MAX), offset]);
      return got <= 0 || io.write(0, run.data, 0, got) === got ? got : -EFAULT;
    }
    if (!calls.enabled) {
      return file.preadv2(fd, io.addr, io.count, offset, 0);
    }
    const device = handles.device(slot);
    if (device.nowait) {
      const got = file.preadv2(fd, io.addr, io.count, offset, RWF_NOWAIT);
      if (got === io.len || (got >= 0 && this.#endsAt(fd, offset + got))) {
        return got;
      }
      if (got === -EOPNOTSUPP) {
        device.nowait = false;
      } else if (got < 0 && got !== -EAGAIN) {
        return got;
      }
    }
    // Not in the cache: it may take long.
    return device.nowait && calls.onHandle(op, slot, SYS.preadv2, io.addr, io.count, offset, 0, 0)
      ? PENDING
      : file.preadv2(fd, io.addr, io.count, offset, 0);
  }

  write(op: Operation, fh: number, offset: number, io: IoVector, openFlags: number, writeFlags: number): number {
    const { handles, calls } = this.#share;
    const slot = handles.slotOf(fh, FILE);
    if (slot < 0) {
      return -EBADF;
    }
    const fd = handles.fd(slot);
    // Write-back of the driver's page cache has its place; a write() on an O_APPEND file goes to the end.
    const append = (openFlags & O_APPEND) !== 0 && (writeFlags & FUSE_WRITE_CACHE) === 0;
    const flags = append ? RWF_APPEND : 0;
    if (append && op.intent !== null) {
      const appended = this.#own.appended(op.intent, fd, io);
      if (appended !== 0) {
        return appended;
      }
    }
    // Drivers ask for every write of an ordinary user, and giving up a capability costs ten times as much as a look at the mode.
    const marked = (writeFlags & FUSE_WRITE_KILL_SUIDGID) !== 0 ? this.#marked(fd) : 0;
    if (marked !== 0) {
      return marked < 0 ? marked : this.#pwriteClearing(fd, io, offset, flags);
    }
    return calls.enabled &&
      handles.isSync(slot) &&
      calls.onHandle(op, slot, SYS.pwritev2, io.addr, io.count, offset, 0, flags)
      ? PENDING
      : this.#pwrite(fd, io, offset, flags);
  }

  /** Apart from `write`, so that only a file with set-id bits costs a closure. */
  #pwriteClearing(fd: number, io: IoVector, offset: number, flags: number): number {
    return this.#clearing(() => this.#pwrite(fd, io, offset, flags));
  }

  #pwrite(fd: number, io: IoVector, offset: number, flags: number): number {
    const { file, runs } = this.#share;
    const run = runs.active;
    if (run === null) {
      return file.pwritev2(fd, io.addr, io.count, offset, flags);
    }
    const len = Math.min(io.len, TRANSFER_MAX);
    return run.call(CALLS.pwritev2, [fd, len, offset, flags], (data) =>
      io.read(0, data, 0, len) === len ? 0 : -EFAULT,
    );
  }

  /** @param kind - FILE, or DIRECTORY for FSYNCDIR */
  fsync(op: Operation, fh: number, kind: number, dataOnly: boolean): number {
    const { handles, file, calls } = this.#share;
    const slot = handles.slotOf(fh, kind);
    if (slot < 0) {
      return -EBADF;
    }
    if (calls.enabled && calls.onHandle(op, slot, dataOnly ? SYS.fdatasync : SYS.fsync, 0, 0, 0, 0, 0)) {
      return PENDING;
    }
    const fd = handles.fd(slot);
    return dataOnly ? file.fdatasync(fd) : file.fsync(fd);
  }

  syncfs(op: Operation, nodeid: number): number {
    const { inodes, file, calls, fd: sysFd } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    const type = inodes.type(slot);
    if (type !== S_IFDIR && type !== S_IFREG) {
      return -EINVAL;
    }
    const fd = this.#share.openInode(slot, O_RDONLY | O_NONBLOCK);
    if (fd < 0) {
      return fd;
    }
    if (calls.enabled && calls.onOwnFd(op, fd, SYS.syncfs)) {
      return PENDING;
    }
    const result = file.syncfs(fd);
    sysFd.close(fd);
    return result;
  }

  fallocate(op: Operation, fh: number, offset: number, len: number, mode: number): number {
    const { handles, file, calls, settings } = this.#share;
    const slot = handles.slotOf(fh, FILE);
    if (slot < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    if ((mode & ~FALLOCATE_MODES) !== 0) {
      return -EOPNOTSUPP;
    }
    const fd = handles.fd(slot);
    const marked = this.#markedForAll(fd);
    if (marked !== 0) {
      return marked < 0 ? marked : this.#clearing(() => file.fallocate(fd, mode, offset, len));
    }
    return calls.enabled && calls.onHandle(op, slot, SYS.fallocate, mode, offset, len, 0, 0)
      ? PENDING
      : file.fallocate(fd, mode, offset, len);
  }

  lseek(op: Operation, fh: number, offset: number, whence: number): number {
    const { handles, file } = this.#share;
    const slot = handles.slotOf(fh, FILE);
    if (slot < 0) {
      return -EBADF;
    }
    // The driver keeps the position itself and asks for nothing else.
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) {
      return -EINVAL;
    }
    const result = file.lseek(handles.fd(slot), offset, whence);
    if (typeof result !== 'number') {
      return -EOVERFLOW;
    }
    if (result < 0) {
      return result;
    }
    op.offset = result;
    return 0;
  }

  copyFileRange(op: Operation, fhIn: number, offIn: number, fhOut: number, offOut: number, len: number): number {
    const { handles, file, calls, settings } = this.#share;
    const from = handles.slotOf(fhIn, FILE);
    const to = handles.slotOf(fhOut, FILE);
    if (from < 0 || to < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    const source = handles.fd(from);
    const target = handles.fd(to);
    const marked = this.#markedForAll(target);
    if (marked !== 0) {
      // In this thread, so not all at once: the driver asks for the rest.
      const part = Math.min(len, TRANSFER_MAX);
      return marked < 0 ? marked : this.#clearing(() => file.copyFileRange(source, offIn, target, offOut, part));
    }
    return calls.enabled && calls.copy(op, SYS.copy_file_range, from, offIn, to, offOut, len)
      ? PENDING
      : file.copyFileRange(source, offIn, target, offOut, len);
  }

  /** Whether a file has set-id bits; `status` then tells of it. @returns 1, 0, or a negative errno */
  #marked(fd: number): number {
    const { status } = this.#share;
    const unknown = status.ofFd(fd);
    return unknown < 0 ? unknown : Number((status.mode & (S_ISUID | S_ISGID)) !== 0);
  }

  /**
   * The same before a change whose request does not say whether the caller may keep the bits: a driver that leaves them to this side
   * clears none itself, so nobody keeps them.
   */
  #markedForAll(fd: number): number {
    return this.#share.clearsSetId ? this.#marked(fd) : 0;
  }

  /** Makes a call that takes set-id bits away, of the file that `status` tells of. */
  #clearing(call: () => number): number {
    const { credentials, status } = this.#share;
    return credentials.withoutFsetid(status.gid, call);
  }

  /** True when a short read ended at the file's end, and not merely where the cache ended. */
  #endsAt(fd: number, end: number): boolean {
    const { status } = this.#share;
    return status.ofFd(fd) === 0 && end >= status.size;
  }
}
