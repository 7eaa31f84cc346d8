/** Requests about an inode, by its number: attributes, lookup counts, links, extended attributes, mappings. */
import * as C from '../constants.ts';
import * as L from '../layout.ts';
import { OUT_HEADER } from '../protocol.ts';
import { type NameInput, RequestBuilder } from './request-builder.ts';

const ATTR_ROOM = OUT_HEADER + L.FuseAttrOut.byteLength;
/** Linux offers a page less one byte for a symlink's target. */
const TARGET_ROOM = OUT_HEADER + 4095;

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

/** A {@link RequestBuilder} that knows them. */
export class InodeRequests extends RequestBuilder {
  /** `fuse_setxattr_in` has 16 bytes: FUSE_SETXATTR_EXT was agreed. */
  setxattrExt = false;

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
    return this.named(C.FUSE_REMOVEXATTR, nodeid, OUT_HEADER, name);
  }

  statfs(nodeid: number): this {
    this.begin(C.FUSE_STATFS, nodeid, 0, OUT_HEADER + L.FuseKstatfs.byteLength);
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
}

function xattrRoom(size: number): number {
  return OUT_HEADER + (size === 0 ? L.FuseGetxattrOut.byteLength : size);
}
