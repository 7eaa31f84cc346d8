/**
 * IOCTL: a file's attributes as lsattr(1), chattr(1) and xfs_io(8) know them, and its fs-verity digest. The driver's kernel has
 * checked that the caller owns the file where it sets attributes. It checks nothing for fs-verity's FS_IOC_ENABLE_VERITY, and no
 * ids come with an ioctl, so that one is refused.
 */
import type { Operation } from '@oriel/fuse';
import { type Address, EBADF, EINVAL, ENOTTY, EOPNOTSUPP, EPERM, EROFS } from '@oriel/sys';
import { DIRECTORY, FILE } from './handles.ts';
import type { Share } from './share.ts';

// linux/fs.h, linux/fsverity.h
export const FS_IOC_GETFLAGS = 0x8008_6601;
export const FS_IOC_SETFLAGS = 0x4008_6602;
export const FS_IOC_FSGETXATTR = 0x801c_581f;
export const FS_IOC_FSSETXATTR = 0x401c_5820;
export const FS_IOC_ENABLE_VERITY = 0x4080_6685;
export const FS_IOC_MEASURE_VERITY = 0xc004_6686;

/** An int, whatever the number says. */
const FLAGS_BYTES = 4;
/** `struct fsxattr`; where its project id stands. */
const FSXATTR_BYTES = 28;
const FSX_PROJID = 12;
/** `struct fsverity_digest` before the digest; where its size stands. */
const DIGEST_HEAD = 4;
const DIGEST_SIZE = 2;

/** FS_IMMUTABLE_FL, FS_APPEND_FL, FS_JOURNAL_DATA_FL: they take rights that the guest's root has not on the host. */
const KEPT_FLAGS = 0x10 | 0x20 | 0x4000;
/** FS_XFLAG_IMMUTABLE, FS_XFLAG_APPEND, FS_XFLAG_PROJINHERIT: those, and what the host counts quotas by. */
const KEPT_XFLAGS = 0x8 | 0x10 | 0x200;

/** Requests on file attributes. */
export class FileAttributeRequests {
  readonly #share: Share;

  constructor(share: Share) {
    this.#share = share;
  }

  ioctl(
    op: Operation,
    fh: number,
    cmd: number,
    input: Address,
    inSize: number,
    output: Address,
    outSize: number,
  ): number {
    const { handles } = this.#share;
    const file = handles.slotOf(fh, FILE);
    const slot = file < 0 ? handles.slotOf(fh, DIRECTORY) : file;
    if (slot < 0) {
      return -EBADF;
    }
    const fd = handles.fd(slot);
    switch (cmd) {
      case FS_IOC_GETFLAGS:
        return this.#get(fd, cmd, output, outSize, FLAGS_BYTES);
      case FS_IOC_FSGETXATTR:
        return this.#get(fd, cmd, output, outSize, FSXATTR_BYTES);
      case FS_IOC_SETFLAGS:
        return this.#set(op, fd, FS_IOC_GETFLAGS, cmd, input, inSize, FLAGS_BYTES);
      case FS_IOC_FSSETXATTR:
        return this.#set(op, fd, FS_IOC_FSGETXATTR, cmd, input, inSize, FSXATTR_BYTES);
      case FS_IOC_MEASURE_VERITY:
        return this.#measure(op, fd, input, inSize, output, outSize);
      case FS_IOC_ENABLE_VERITY:
        return -EOPNOTSUPP;
      default:
        return -ENOTTY;
    }
  }

  #get(fd: number, cmd: number, output: Address, outSize: number, bytes: number): number {
    if (outSize < bytes) {
      return -EINVAL;
    }
    const result = this.#share.file.ioctl(fd, cmd, output);
    return result < 0 ? result : bytes;
  }

  #set(op: Operation, fd: number, get: number, set: number, input: Address, inSize: number, bytes: number): number {
    const { file, scratch, settings } = this.#share;
    if (inSize < bytes) {
      return -EINVAL;
    }
    if (settings.readonly) {
      return -EROFS;
    }
    const result = file.ioctl(fd, get, scratch.path);
    if (result < 0) {
      return result;
    }
    const wanted = op.bytes(input, bytes);
    const now = scratch.bytes.subarray(scratch.pathAt, scratch.pathAt + bytes);
    const changed = wordAt(wanted, 0) ^ wordAt(now, 0);
    const kept = bytes === FLAGS_BYTES ? KEPT_FLAGS : KEPT_XFLAGS;
    const moves = bytes === FSXATTR_BYTES && wordAt(wanted, FSX_PROJID) !== wordAt(now, FSX_PROJID);
    return (changed & kept) !== 0 || moves ? -EPERM : file.ioctl(fd, set, input);
  }

  /** Its argument says how long a digest may be, and then how long it is. */
  #measure(op: Operation, fd: number, input: Address, inSize: number, output: Address, outSize: number): number {
    if (inSize < DIGEST_HEAD || outSize < DIGEST_HEAD) {
      return -EINVAL;
    }
    const to = op.bytes(output, outSize);
    to.set(op.bytes(input, DIGEST_HEAD));
    if (halfAt(to, DIGEST_SIZE) > outSize - DIGEST_HEAD) {
      return -EINVAL;
    }
    const result = this.#share.file.ioctl(fd, FS_IOC_MEASURE_VERITY, output);
    return result < 0 ? result : DIGEST_HEAD + Math.min(halfAt(to, DIGEST_SIZE), outSize - DIGEST_HEAD);
  }
}

function halfAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return halfAt(bytes, at) | (halfAt(bytes, at + 2) << 16);
}
