/** Requests about names: what is found, made, moved and removed under them. */
import * as C from '../constants.ts';
import * as L from '../layout.ts';
import { OUT_HEADER } from '../protocol.ts';
import { InodeRequests } from './inode-requests.ts';
import type { NameInput } from './request-builder.ts';

const ENTRY_ROOM = OUT_HEADER + L.FuseEntryOut.byteLength;
const CREATE_ROOM = ENTRY_ROOM + L.FuseOpenOut.byteLength;

/** {@link InodeRequests}, and these. */
export class NameRequests extends InodeRequests {
  lookup(parent: number, name: NameInput): this {
    return this.named(C.FUSE_LOOKUP, parent, ENTRY_ROOM, name);
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
    return this.named(C.FUSE_UNLINK, parent, OUT_HEADER, name);
  }

  rmdir(parent: number, name: NameInput): this {
    return this.named(C.FUSE_RMDIR, parent, OUT_HEADER, name);
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

  create(parent: number, name: NameInput, flags: number, mode: number, umask = 0, openFlags = 0): this {
    return this.#creating(C.FUSE_CREATE, parent, name, flags, mode, umask, openFlags);
  }

  /** As Linux sends it, with the name "/". */
  tmpfile(parent: number, flags: number, mode: number, umask = 0): this {
    return this.#creating(C.FUSE_TMPFILE, parent, '/', flags, mode, umask, 0);
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
}
