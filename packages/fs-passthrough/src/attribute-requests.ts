/** GETATTR, SETATTR and STATFS. */
import {
  type Attributes,
  FATTR_ATIME,
  FATTR_ATIME_NOW,
  FATTR_FH,
  FATTR_GID,
  FATTR_KILL_SUIDGID,
  FATTR_MODE,
  FATTR_MTIME,
  FATTR_MTIME_NOW,
  FATTR_SIZE,
  FATTR_UID,
  type SetAttr,
  type StatfsOut,
  type StatxOut,
} from '@oriel/fuse';
import {
  AT_EMPTY_PATH,
  EBADF,
  EINVAL,
  EISDIR,
  EPERM,
  EROFS,
  O_NONBLOCK,
  O_WRONLY,
  S_IFDIR,
  S_IFREG,
  Statfs,
  Timespec,
  UTIME_NOW,
  UTIME_OMIT,
} from '@oriel/sys';
import { FILE } from './handles.ts';
import type { Share } from './share.ts';

const MODE_BITS = 0o7777;
/** What chown takes for "leave it"; as an id it is refused. */
const NO_ID = 0xffff_ffff;
const KEEP = -1;
const NO_HANDLE = -1;

/** Requests on attributes. */
export class AttributeRequests {
  readonly #share: Share;

  constructor(share: Share) {
    this.#share = share;
  }

  /** @param fh - checked only: the inode's own descriptor tells the same */
  getattr(attr: Attributes, nodeid: number, fh: number): number {
    const { inodes, handles } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0 || (fh >= 0 && handles.slotOf(fh, FILE) < 0)) {
      return -EBADF;
    }
    return this.#fill(attr, slot);
  }

  statx(attr: Attributes, nodeid: number, fh: number, out: StatxOut): number {
    const { handles, inodes, status } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0 || (fh >= 0 && handles.slotOf(fh, FILE) < 0)) {
      return -EBADF;
    }
    const fd = inodes.fd(slot);
    const failed = fd < 0 ? fd : status.ofFdWhole(fd);
    if (failed < 0) {
      return failed;
    }
    status.fillFacts(out);
    this.#fillAttributes(attr);
    return 0;
  }

  setattr(attr: Attributes, nodeid: number, change: SetAttr): number {
    const { inodes, handles, settings } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    const { valid } = change;
    let handle = NO_HANDLE;
    if ((valid & FATTR_FH) !== 0) {
      handle = handles.slotOf(change.fh, FILE);
      if (handle < 0) {
        return -EBADF;
      }
    }
    // The steps below rely on it: it stays until the request ends.
    const fd = inodes.fd(slot);
    if (fd < 0) {
      return fd;
    }
    let result = 0;
    if ((valid & FATTR_MODE) !== 0) {
      result = this.#chmod(slot, handle, change.mode);
    }
    if (result === 0 && (valid & (FATTR_UID | FATTR_GID)) !== 0) {
      result = this.#chown(slot, change);
    }
    if (result === 0 && (valid & FATTR_SIZE) !== 0) {
      result = this.#resize(slot, handle, change.size, (valid & FATTR_KILL_SUIDGID) !== 0);
    }
    if (result === 0 && (valid & (FATTR_ATIME | FATTR_ATIME_NOW | FATTR_MTIME | FATTR_MTIME_NOW)) !== 0) {
      result = this.#setTimes(slot, change);
    }
    return result === 0 ? this.#fill(attr, slot) : result;
  }

  statfs(nodeid: number, out: StatfsOut): number {
    const { file, inodes, scratch } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot < 0) {
      return -EBADF;
    }
    const fd = inodes.fd(slot);
    const failed = fd < 0 ? fd : file.fstatfs(fd, scratch.statfs);
    if (failed < 0) {
      return failed;
    }
    const { view, statfsAt } = scratch;
    out.blocks = Statfs.fBlocks.get(view, statfsAt);
    out.bfree = Statfs.fBfree.get(view, statfsAt);
    out.bavail = Statfs.fBavail.get(view, statfsAt);
    out.files = Statfs.fFiles.get(view, statfsAt);
    out.ffree = Statfs.fFfree.get(view, statfsAt);
    out.bsize = Statfs.fBsize.get(view, statfsAt);
    out.namelen = Statfs.fNamelen.get(view, statfsAt);
    out.frsize = Statfs.fFrsize.get(view, statfsAt);
    return 0;
  }

  #fill(attr: Attributes, slot: number): number {
    const { inodes, status } = this.#share;
    const fd = inodes.fd(slot);
    const failed = fd < 0 ? fd : status.ofFd(fd);
    if (failed < 0) {
      return failed;
    }
    this.#fillAttributes(attr);
    return 0;
  }

  #fillAttributes(attr: Attributes): void {
    const { status, settings } = this.#share;
    status.fill(attr);
    attr.flags = 0;
    attr.validSec = settings.cache.validSec;
    attr.validNs = 0;
  }

  #chmod(slot: number, handle: number, mode: number): number {
    const { file, handles, inodes, procFd } = this.#share;
    return handle === NO_HANDLE
      ? file.fchmodat(procFd, inodes.number(slot), mode & MODE_BITS)
      : file.fchmod(handles.fd(handle), mode & MODE_BITS);
  }

  /** The host's kernel clears set-id bits on any change of owner, so FATTR_KILL_SUIDGID asks for nothing more. */
  #chown(slot: number, change: SetAttr): number {
    const { file, inodes, scratch } = this.#share;
    const uid = (change.valid & FATTR_UID) === 0 ? KEEP : change.uid;
    const gid = (change.valid & FATTR_GID) === 0 ? KEEP : change.gid;
    if (uid === NO_ID || gid === NO_ID) {
      return -EINVAL;
    }
    const hostUid = uid === KEEP ? KEEP : this.#share.hostUid(uid);
    const hostGid = gid === KEEP ? KEEP : this.#share.hostGid(gid);
    if ((uid !== KEEP && hostUid < 0) || (gid !== KEEP && hostGid < 0)) {
      return -EPERM;
    }
    return file.fchownat(inodes.fd(slot), scratch.empty, hostUid, hostGid, AT_EMPTY_PATH);
  }

  #resize(slot: number, handle: number, size: number, killSuidgid: boolean): number {
    const { credentials, fd: sysFd, file, handles, inodes, status } = this.#share;
    const type = inodes.type(slot);
    if (type !== S_IFREG) {
      return type === S_IFDIR ? -EISDIR : -EINVAL;
    }
    const unknown = killSuidgid ? status.ofFd(inodes.fd(slot)) : 0;
    if (unknown < 0) {
      return unknown;
    }
    const { gid } = status;
    const own = handle === NO_HANDLE ? this.#share.openInode(slot, O_WRONLY | O_NONBLOCK) : -1;
    if (handle === NO_HANDLE && own < 0) {
      return own;
    }
    const fd = handle === NO_HANDLE ? own : handles.fd(handle);
    const truncate = (): number => file.ftruncate(fd, size);
    const result = killSuidgid ? credentials.withoutFsetid(gid, truncate) : truncate();
    if (own >= 0) {
      sysFd.close(own);
    }
    return result;
  }

  #setTimes(slot: number, change: SetAttr): number {
    const { file, inodes, procFd, scratch } = this.#share;
    const { view, timesAt } = scratch;
    const { valid } = change;
    Timespec.tvSec.setParts(view, timesAt, change.atimeLo, change.atimeHi);
    Timespec.tvNsec.set(view, timesAt, nanoseconds(valid, FATTR_ATIME, FATTR_ATIME_NOW, change.atimeNs));
    const mtimeAt = timesAt + Timespec.byteLength;
    Timespec.tvSec.setParts(view, mtimeAt, change.mtimeLo, change.mtimeHi);
    Timespec.tvNsec.set(view, mtimeAt, nanoseconds(valid, FATTR_MTIME, FATTR_MTIME_NOW, change.mtimeNs));
    return file.utimensat(procFd, inodes.number(slot), scratch.times, 0);
  }
}

/** A `tv_nsec`, or what stands there for "now" and "leave it". */
function nanoseconds(valid: number, given: number, now: number, value: number): number {
  if ((valid & now) !== 0) {
    return UTIME_NOW;
  }
  return (valid & given) !== 0 ? value : UTIME_OMIT;
}
