/** Every request that a virtiofs driver sends, as bytes. */
import * as C from '../constants.ts';
import * as L from '../layout.ts';
import { IN_HEADER, OUT_HEADER } from '../protocol.ts';
import { type NameInput, RequestBuilder } from './request-builder.ts';

const ENTRY_ROOM = OUT_HEADER + L.FuseEntryOut.byteLength;
const ATTR_ROOM = OUT_HEADER + L.FuseAttrOut.byteLength;
const OPEN_ROOM = OUT_HEADER + L.FuseOpenOut.byteLength;
const CREATE_ROOM = ENTRY_ROOM + L.FuseOpenOut.byteLength;
const COUNT_ROOM = OUT_HEADER + L.FuseWriteOut.byteLength;
/** Linux offers a page less one byte for a symlink's target. */
const TARGET_ROOM = OUT_HEADER + 4095;

/** Fields of an INIT request; all that Linux 7.3 offers by default. */
export interface InitInput {
  readonly major?: number;
  readonly minor?: number;
  readonly maxReadahead?: number;
  readonly flagsLo?: number;
  readonly flagsHi?: number;
  /** Only the first 16 bytes, as drivers before 7.36 send them. */
  readonly short?: boolean;
}

/** Fields of a SETATTR; `valid` is made of those given. Times: whole seconds, negative ones too. */
export interface SetattrInput {
  readonly fh?: number;
  readonly size?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly atime?: number | 'now';
  readonly atimeNs?: number;
  readonly mtime?: number | 'now';
  readonly mtimeNs?: number;
  readonly killSuidgid?: boolean;
}

/** One method for each opcode; each replaces the request before. `room` then says how much a reply needs. */
export class RequestEncoder extends RequestBuilder {
  /** `fuse_setxattr_in` has 16 bytes: FUSE_SETXATTR_EXT was agreed. */
  setxattrExt = false;

  init(input: InitInput = {}): this {
    const { major = 7, minor = C.FUSE_KERNEL_MINOR_VERSION, maxReadahead = 131072 } = input;
    const { flagsLo = 0x7fff_fffb, flagsHi = 0x5ff, short = false } = input;
    const len = short ? L.FuseInitIn.flags2.offset : L.FuseInitIn.byteLength;
    const at = this.begin(C.FUSE_INIT, 0, len, OUT_HEADER + L.FuseInitOut.byteLength);
    const view = this.view;
    L.FuseInitIn.major.set(view, at, major);
    L.FuseInitIn.minor.set(view, at, minor);
    L.FuseInitIn.maxReadahead.set(view, at, maxReadahead);
    L.FuseInitIn.flags.set(view, at, flagsLo);
    if (!short) {
      L.FuseInitIn.flags2.set(view, at, flagsHi);
    }
    return this.end();
  }

  destroy(): this {
    this.begin(C.FUSE_DESTROY, 0, 0, OUT_HEADER);
    return this.end();
  }

  interrupt(uniqueLo: number, uniqueHi: number): this {
    const at = this.begin(C.FUSE_INTERRUPT, 0, L.FuseInterruptIn.byteLength, 0);
    L.FuseInterruptIn.unique.setParts(this.view, at, uniqueLo, uniqueHi);
    return this.end();
  }

  lookup(parent: number, name: NameInput): this {
    return this.#named(C.FUSE_LOOKUP, parent, ENTRY_ROOM, name);
  }

  forget(nodeid: number, count: number): this {
    const at = this.begin(C.FUSE_FORGET, nodeid, L.FuseForgetIn.byteLength, 0);
    L.FuseForgetIn.nlookup.set(this.view, at, count);
    return this.end();
  }

  /** @param pairs - nodeid and count by turns */
  batchForget(pairs: readonly number[]): this {
    const count = pairs.length / 2;
    const args = L.FuseBatchForgetIn.byteLength + count * L.FuseForgetOne.byteLength;
    const at = this.begin(C.FUSE_BATCH_FORGET, 0, args, 0);
    L.FuseBatchForgetIn.count.set(this.view, at, count);
    for (let index = 0; index < count; index++) {
      const one = at + L.FuseBatchForgetIn.byteLength + index * L.FuseForgetOne.byteLength;
      L.FuseForgetOne.nodeid.set(this.view, one, pairs[index * 2]!);
      L.FuseForgetOne.nlookup.set(this.view, one, pairs[index * 2 + 1]!);
    }
    return this.end();
  }

  /** @param fh - -1: none */
  getattr(nodeid: number, fh = -1): this {
    const at = this.begin(C.FUSE_GETATTR, nodeid, L.FuseGetattrIn.byteLength, ATTR_ROOM);
    if (fh >= 0) {
      L.FuseGetattrIn.getattrFlags.set(this.view, at, C.FUSE_GETATTR_FH);
      L.FuseGetattrIn.fh.set(this.view, at, fh);
    }
    return this.end();
  }

  /** @param fh - -1: none */
  statx(nodeid: number, fh = -1, mask = 0xfff): this {
    const at = this.begin(C.FUSE_STATX, nodeid, L.FuseStatxIn.byteLength, OUT_HEADER + L.FuseStatxOut.byteLength);
    if (fh >= 0) {
      L.FuseStatxIn.getattrFlags.set(this.view, at, C.FUSE_GETATTR_FH);
      L.FuseStatxIn.fh.set(this.view, at, fh);
    }
    L.FuseStatxIn.sxMask.set(this.view, at, mask);
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

  setattr(nodeid: number, input: SetattrInput): this {
    const at = this.begin(C.FUSE_SETATTR, nodeid, L.FuseSetattrIn.byteLength, ATTR_ROOM);
    const view = this.view;
    const { fh, size, mode, uid, gid, atime, mtime } = input;
    let valid = 0;
    if (fh !== undefined) {
      valid |= C.FATTR_FH;
      L.FuseSetattrIn.fh.set(view, at, fh);
    }
    if (size !== undefined) {
      valid |= C.FATTR_SIZE;
      L.FuseSetattrIn.size.set(view, at, size);
    }
    if (mode !== undefined) {
      valid |= C.FATTR_MODE;
      L.FuseSetattrIn.mode.set(view, at, mode);
    }
    if (uid !== undefined) {
      valid |= C.FATTR_UID;
      L.FuseSetattrIn.uid.set(view, at, uid);
    }
    if (gid !== undefined) {
      valid |= C.FATTR_GID;
      L.FuseSetattrIn.gid.set(view, at, gid);
    }
    if (atime !== undefined) {
      valid |= atime === 'now' ? C.FATTR_ATIME | C.FATTR_ATIME_NOW : C.FATTR_ATIME;
      L.FuseSetattrIn.atime.set(view, at, atime === 'now' ? 0 : atime);
      L.FuseSetattrIn.atimensec.set(view, at, input.atimeNs ?? 0);
    }
    if (mtime !== undefined) {
      valid |= mtime === 'now' ? C.FATTR_MTIME | C.FATTR_MTIME_NOW : C.FATTR_MTIME;
      L.FuseSetattrIn.mtime.set(view, at, mtime === 'now' ? 0 : mtime);
      L.FuseSetattrIn.mtimensec.set(view, at, input.mtimeNs ?? 0);
    }
    if (input.killSuidgid === true) {
      valid |= C.FATTR_KILL_SUIDGID;
    }
    L.FuseSetattrIn.valid.set(view, at, valid);
    return this.end();
  }

  readlink(nodeid: number): this {
    this.begin(C.FUSE_READLINK, nodeid, 0, TARGET_ROOM);
    return this.end();
  }

  symlink(parent: number, name: NameInput, target: NameInput): this {
    this.begin(C.FUSE_SYMLINK, parent, 0, ENTRY_ROOM);
    return this.name(name).name(target).extend().end();
  }

  /** @param rdev - as `struct fuse_attr` has it */
  mknod(parent: number, name: NameInput, mode: number, rdev = 0, umask = 0): this {
    const at = this.begin(C.FUSE_MKNOD, parent, L.FuseMknodIn.byteLength, ENTRY_ROOM);
    L.FuseMknodIn.mode.set(this.view, at, mode);
    L.FuseMknodIn.rdev.set(this.view, at, rdev);
    L.FuseMknodIn.umask.set(this.view, at, umask);
    return this.name(name).extend().end();
  }

  mkdir(parent: number, name: NameInput, mode: number, umask = 0): this {
    const at = this.begin(C.FUSE_MKDIR, parent, L.FuseMkdirIn.byteLength, ENTRY_ROOM);
    L.FuseMkdirIn.mode.set(this.view, at, mode);
    L.FuseMkdirIn.umask.set(this.view, at, umask);
    return this.name(name).extend().end();
  }

  unlink(parent: number, name: NameInput): this {
    return this.#named(C.FUSE_UNLINK, parent, OUT_HEADER, name);
  }

  rmdir(parent: number, name: NameInput): this {
    return this.#named(C.FUSE_RMDIR, parent, OUT_HEADER, name);
  }

  rename(parent: number, name: NameInput, newParent: number, newName: NameInput): this {
    const at = this.begin(C.FUSE_RENAME, parent, L.FuseRenameIn.byteLength, OUT_HEADER);
    L.FuseRenameIn.newdir.set(this.view, at, newParent);
    return this.name(name).name(newName).end();
  }

  rename2(parent: number, name: NameInput, newParent: number, newName: NameInput, flags: number): this {
    const at = this.begin(C.FUSE_RENAME2, parent, L.FuseRename2In.byteLength, OUT_HEADER);
    L.FuseRename2In.newdir.set(this.view, at, newParent);
    L.FuseRename2In.flags.set(this.view, at, flags);
    return this.name(name).name(newName).end();
  }

  link(nodeid: number, newParent: number, newName: NameInput): this {
    const at = this.begin(C.FUSE_LINK, newParent, L.FuseLinkIn.byteLength, ENTRY_ROOM);
    L.FuseLinkIn.oldnodeid.set(this.view, at, nodeid);
    return this.name(newName).end();
  }

  open(nodeid: number, flags: number, openFlags = 0): this {
    return this.#opening(C.FUSE_OPEN, nodeid, flags, openFlags);
  }

  opendir(nodeid: number, flags = 0): this {
    return this.#opening(C.FUSE_OPENDIR, nodeid, flags, 0);
  }

  create(parent: number, name: NameInput, flags: number, mode: number, umask = 0, openFlags = 0): this {
    return this.#creating(C.FUSE_CREATE, parent, name, flags, mode, umask, openFlags);
  }

  /** As Linux sends it, with the name "/". */
  tmpfile(parent: number, flags: number, mode: number, umask = 0): this {
    return this.#creating(C.FUSE_TMPFILE, parent, '/', flags, mode, umask, 0);
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

  statfs(nodeid: number): this {
    this.begin(C.FUSE_STATFS, nodeid, 0, OUT_HEADER + L.FuseKstatfs.byteLength);
    return this.end();
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

  setxattr(nodeid: number, name: NameInput, value: Uint8Array, flags = 0, setxattrFlags = 0): this {
    const args = this.setxattrExt ? L.FuseSetxattrIn.byteLength : L.FUSE_COMPAT_SETXATTR_IN_SIZE;
    const at = this.begin(C.FUSE_SETXATTR, nodeid, args, OUT_HEADER);
    L.FuseSetxattrIn.size.set(this.view, at, value.length);
    L.FuseSetxattrIn.flags.set(this.view, at, flags);
    if (this.setxattrExt) {
      L.FuseSetxattrIn.setxattrFlags.set(this.view, at, setxattrFlags);
    }
    return this.name(name).append(value).end();
  }

  /** @param size - 0 asks for the length */
  getxattr(nodeid: number, name: NameInput, size: number): this {
    const at = this.begin(C.FUSE_GETXATTR, nodeid, L.FuseGetxattrIn.byteLength, xattrRoom(size));
    L.FuseGetxattrIn.size.set(this.view, at, size);
    this.asksLength = size === 0;
    return this.name(name).end();
  }

  listxattr(nodeid: number, size: number): this {
    const at = this.begin(C.FUSE_LISTXATTR, nodeid, L.FuseGetxattrIn.byteLength, xattrRoom(size));
    L.FuseGetxattrIn.size.set(this.view, at, size);
    this.asksLength = size === 0;
    return this.end();
  }

  removexattr(nodeid: number, name: NameInput): this {
    return this.#named(C.FUSE_REMOVEXATTR, nodeid, OUT_HEADER, name);
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

  syncfs(nodeid: number): this {
    this.begin(C.FUSE_SYNCFS, nodeid, L.FuseSyncfsIn.byteLength, OUT_HEADER);
    return this.end();
  }

  /** With fh 2^64-1, as Linux sends it. @param flags - FUSE_SETUPMAPPING_FLAG_* */
  setupmapping(nodeid: number, foffset: number, len: number, flags: number, moffset: number): this {
    const at = this.begin(C.FUSE_SETUPMAPPING, nodeid, L.FuseSetupmappingIn.byteLength, OUT_HEADER);
    const view = this.view;
    L.FuseSetupmappingIn.fh.setParts(view, at, 0xffff_ffff, 0xffff_ffff);
    L.FuseSetupmappingIn.foffset.set(view, at, foffset);
    L.FuseSetupmappingIn.len.set(view, at, len);
    L.FuseSetupmappingIn.flags.set(view, at, flags);
    L.FuseSetupmappingIn.moffset.set(view, at, moffset);
    return this.end();
  }

  /** @param pairs - moffset and len by turns */
  removemapping(nodeid: number, pairs: readonly number[]): this {
    const count = pairs.length / 2;
    const args = L.FuseRemovemappingIn.byteLength + count * L.FuseRemovemappingOne.byteLength;
    const at = this.begin(C.FUSE_REMOVEMAPPING, nodeid, args, OUT_HEADER);
    L.FuseRemovemappingIn.count.set(this.view, at, count);
    for (let index = 0; index < count; index++) {
      const one = at + L.FuseRemovemappingIn.byteLength + index * L.FuseRemovemappingOne.byteLength;
      L.FuseRemovemappingOne.moffset.set(this.view, one, pairs[index * 2]!);
      L.FuseRemovemappingOne.len.set(this.view, one, pairs[index * 2 + 1]!);
    }
    return this.end();
  }

  /** Any opcode with any body: for opcodes not listed, and for tests of bad requests. */
  raw(opcode: number, nodeid: number, body: Uint8Array, room: number): this {
    this.begin(opcode, nodeid, 0, room);
    return this.append(body).end();
  }

  #named(opcode: number, nodeid: number, room: number, name: NameInput): this {
    this.begin(opcode, nodeid, 0, room);
    return this.name(name).end();
  }

  #opening(opcode: number, nodeid: number, flags: number, openFlags: number): this {
    const at = this.begin(opcode, nodeid, L.FuseOpenIn.byteLength, OPEN_ROOM);
    L.FuseOpenIn.flags.set(this.view, at, flags);
    L.FuseOpenIn.openFlags.set(this.view, at, openFlags);
    return this.end();
  }

  #creating(
    opcode: number,
    parent: number,
    name: NameInput,
    flags: number,
    mode: number,
    umask: number,
    openFlags: number,
  ): this {
    const at = this.begin(opcode, parent, L.FuseCreateIn.byteLength, CREATE_ROOM);
    L.FuseCreateIn.flags.set(this.view, at, flags);
    L.FuseCreateIn.mode.set(this.view, at, mode);
    L.FuseCreateIn.umask.set(this.view, at, umask);
    L.FuseCreateIn.openFlags.set(this.view, at, openFlags);
    return this.name(name).extend().end();
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
    L.FuseReadIn.offset.setParts(this.view, L.FuseInHeader.byteLength, lo, hi);
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

function xattrRoom(size: number): number {
  return size === 0 ? COUNT_ROOM : OUT_HEADER + size;
}
