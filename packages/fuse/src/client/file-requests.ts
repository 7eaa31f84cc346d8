/** Requests about open files and directories, by handle. */
import * as C from '../constants.ts';
import * as L from '../layout.ts';
import { IN_HEADER, OUT_HEADER } from '../protocol.ts';
import { NameRequests } from './name-requests.ts';

const OPEN_ROOM = OUT_HEADER + L.FuseOpenOut.byteLength;
const COUNT_ROOM = OUT_HEADER + L.FuseWriteOut.byteLength;

/** {@link NameRequests}, and these. */
export class FileRequests extends NameRequests {
  open(nodeid: number, flags: number, openFlags = 0): this {
    return this.#opening(C.FUSE_OPEN, nodeid, flags, openFlags);
  }

  opendir(nodeid: number, flags = 0): this {
    return this.#opening(C.FUSE_OPENDIR, nodeid, flags, 0);
  }

  /** @param flags - O_* of the file */
  read(nodeid: number, fh: number, offset: number, size: number, flags = 0): this {
    return this.#reading(C.FUSE_READ, nodeid, fh, offset, size, flags);
  }

  /** `size` bytes of data are to follow `bytes`. @param flags - O_* of the file */
  write(nodeid: number, fh: number, offset: number, size: number, flags = 0, writeFlags = 0): this {
    const at = this.begin(C.FUSE_WRITE, nodeid, L.FuseWriteIn.byteLength, COUNT_ROOM);
    const view = this.view;
    L.FuseWriteIn.fh.set(view, at, fh);
    L.FuseWriteIn.offset.set(view, at, offset);
    L.FuseWriteIn.size.set(view, at, size);
    L.FuseWriteIn.writeFlags.set(view, at, writeFlags);
    L.FuseWriteIn.flags.set(view, at, flags);
    return this.end(size);
  }

  release(nodeid: number, fh: number): this {
    return this.#closing(C.FUSE_RELEASE, nodeid, fh, L.FuseReleaseIn.byteLength);
  }

  releasedir(nodeid: number, fh: number): this {
    return this.#closing(C.FUSE_RELEASEDIR, nodeid, fh, L.FuseReleaseIn.byteLength);
  }

  flush(nodeid: number, fh: number, owner = 0): this {
    this.#closing(C.FUSE_FLUSH, nodeid, fh, L.FuseFlushIn.byteLength);
    L.FuseFlushIn.lockOwner.set(this.view, IN_HEADER, owner);
    return this;
  }

  /**
   * GETLK, SETLK and SETLKW.
   * @param range - first and last byte; without the last: to the end of the file
   */
  lock(
    opcode: number,
    nodeid: number,
    fh: number,
    owner: number,
    type: number,
    range: readonly [start: number | bigint, end?: number | bigint] = [0],
    flags = 0,
  ): this {
    const room = opcode === C.FUSE_GETLK ? OUT_HEADER + L.FuseLkOut.byteLength : OUT_HEADER;
    const at = this.begin(opcode, nodeid, L.FuseLkIn.byteLength, room);
    const lk = at + L.FuseLkIn.lk.offset;
    const [start, end = 0x7fff_ffff_ffff_ffffn] = range;
    L.FuseLkIn.fh.set(this.view, at, fh);
    L.FuseLkIn.owner.set(this.view, at, owner);
    this.view.setBigUint64(lk + L.FuseFileLock.start.offset, BigInt(start), true);
    this.view.setBigUint64(lk + L.FuseFileLock.end.offset, BigInt(end), true);
    L.FuseFileLock.type.set(this.view, lk, type);
    L.FuseLkIn.lkFlags.set(this.view, at, flags);
    return this.end();
  }

  /** @param flags - FUSE_FSYNC_FDATASYNC or 0 */
  fsync(nodeid: number, fh: number, flags = 0): this {
    return this.#syncing(C.FUSE_FSYNC, nodeid, fh, flags);
  }

  fsyncdir(nodeid: number, fh: number, flags = 0): this {
    return this.#syncing(C.FUSE_FSYNCDIR, nodeid, fh, flags);
  }

  /** The cookie of the last record seen as two u32; 0, 0 at the start. */
  readdir(nodeid: number, fh: number, cookieLo: number, cookieHi: number, size: number): this {
    return this.#reading(C.FUSE_READDIR, nodeid, fh, 0, size, 0).#cookie(cookieLo, cookieHi);
  }

  readdirplus(nodeid: number, fh: number, cookieLo: number, cookieHi: number, size: number): this {
    return this.#reading(C.FUSE_READDIRPLUS, nodeid, fh, 0, size, 0).#cookie(cookieLo, cookieHi);
  }

  fallocate(nodeid: number, fh: number, offset: number, length: number, mode = 0): this {
    const at = this.begin(C.FUSE_FALLOCATE, nodeid, L.FuseFallocateIn.byteLength, OUT_HEADER);
    L.FuseFallocateIn.fh.set(this.view, at, fh);
    L.FuseFallocateIn.offset.set(this.view, at, offset);
    L.FuseFallocateIn.length.set(this.view, at, length);
    L.FuseFallocateIn.mode.set(this.view, at, mode);
    return this.end();
  }

  lseek(nodeid: number, fh: number, offset: number, whence: number): this {
    const at = this.begin(C.FUSE_LSEEK, nodeid, L.FuseLseekIn.byteLength, OUT_HEADER + L.FuseLseekOut.byteLength);
    L.FuseLseekIn.fh.set(this.view, at, fh);
    L.FuseLseekIn.offset.set(this.view, at, offset);
    L.FuseLseekIn.whence.set(this.view, at, whence);
    return this.end();
  }

  /** COPY_FILE_RANGE_64; `wide` false: the older form, whose reply has a 32-bit count. */
  copyFileRange(
    from: { readonly nodeid: number; readonly fh: number; readonly offset: number },
    to: { readonly nodeid: number; readonly fh: number; readonly offset: number },
    len: number,
    wide = true,
  ): this {
    const opcode = wide ? C.FUSE_COPY_FILE_RANGE_64 : C.FUSE_COPY_FILE_RANGE;
    const at = this.begin(opcode, from.nodeid, L.FuseCopyFileRangeIn.byteLength, COUNT_ROOM);
    const view = this.view;
    L.FuseCopyFileRangeIn.fhIn.set(view, at, from.fh);
    L.FuseCopyFileRangeIn.offIn.set(view, at, from.offset);
    L.FuseCopyFileRangeIn.nodeidOut.set(view, at, to.nodeid);
    L.FuseCopyFileRangeIn.fhOut.set(view, at, to.fh);
    L.FuseCopyFileRangeIn.offOut.set(view, at, to.offset);
    L.FuseCopyFileRangeIn.len.set(view, at, len);
    return this.end();
  }

  /** @param input - what the argument holds @param outSize - bytes of the answer at most @param flags - FUSE_IOCTL_* */
  ioctl(nodeid: number, fh: number, cmd: number, input: Uint8Array, outSize: number, flags = 0): this {
    const room = OUT_HEADER + L.FuseIoctlOut.byteLength + outSize;
    const at = this.begin(C.FUSE_IOCTL, nodeid, L.FuseIoctlIn.byteLength, room);
    const view = this.view;
    L.FuseIoctlIn.fh.set(view, at, fh);
    L.FuseIoctlIn.flags.set(view, at, flags);
    L.FuseIoctlIn.cmd.set(view, at, cmd);
    L.FuseIoctlIn.inSize.set(view, at, input.length);
    L.FuseIoctlIn.outSize.set(view, at, outSize);
    return this.append(input).end();
  }

  #opening(opcode: number, nodeid: number, flags: number, openFlags: number): this {
    const at = this.begin(opcode, nodeid, L.FuseOpenIn.byteLength, OPEN_ROOM);
    L.FuseOpenIn.flags.set(this.view, at, flags);
    L.FuseOpenIn.openFlags.set(this.view, at, openFlags);
    return this.end();
  }

  #reading(opcode: number, nodeid: number, fh: number, offset: number, size: number, flags: number): this {
    const at = this.begin(opcode, nodeid, L.FuseReadIn.byteLength, OUT_HEADER + size);
    const view = this.view;
    L.FuseReadIn.fh.set(view, at, fh);
    L.FuseReadIn.offset.set(view, at, offset);
    L.FuseReadIn.size.set(view, at, size);
    L.FuseReadIn.flags.set(view, at, flags);
    return this.end();
  }

  #cookie(lo: number, hi: number): this {
    L.FuseReadIn.offset.setParts(this.view, IN_HEADER, lo, hi);
    return this;
  }

  #closing(opcode: number, nodeid: number, fh: number, argBytes: number): this {
    const at = this.begin(opcode, nodeid, argBytes, OUT_HEADER);
    L.FuseReleaseIn.fh.set(this.view, at, fh);
    return this.end();
  }

  #syncing(opcode: number, nodeid: number, fh: number, flags: number): this {
    const at = this.begin(opcode, nodeid, L.FuseFsyncIn.byteLength, OUT_HEADER);
    L.FuseFsyncIn.fh.set(this.view, at, fh);
    L.FuseFsyncIn.fsyncFlags.set(this.view, at, flags);
    return this.end();
  }
}
