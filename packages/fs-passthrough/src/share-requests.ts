/** The requests that ask the host's file system: each goes to the part that serves it. */
import type { DirSink, FileLock, IoVector, Name, Operation, SetAttr, StatfsOut, StatxOut } from '@oriel/fuse';
import type { Address, SysMem } from '@oriel/sys';
import { AttributeRequests } from './attribute-requests.ts';
import { DataRequests } from './data-requests.ts';
import { DirectoryRequests } from './directory-requests.ts';
import { EntryRequests } from './entry-requests.ts';
import { FileAttributeRequests } from './file-attributes.ts';
import { FileOpener } from './file-opener.ts';
import { Labels } from './labels.ts';
import { LockRequests } from './locks/lock-requests.ts';
import type { RetryTimer } from './locks/lock-waiters.ts';
import { Lookup } from './lookup.ts';
import { OpenRequests } from './open-requests.ts';
import type { Share } from './share.ts';
import { OwnEffects } from './survival/own-effects.ts';
import { XattrNames } from './xattrs/xattr-names.ts';
import { XattrRequests } from './xattrs/xattr-requests.ts';

/** Methods as `Filesystem` has them. A result may be ELSEWHERE: see `RequestRoutes.waitElsewhere`. */
export class ShareRequests implements Disposable {
  readonly opener: FileOpener;
  readonly directories: DirectoryRequests;
  readonly locks: LockRequests;
  readonly opens: OpenRequests;
  readonly #entries: EntryRequests;
  readonly #attributes: AttributeRequests;
  readonly #fileAttributes: FileAttributeRequests;
  readonly #data: DataRequests;
  readonly #xattrs: XattrRequests;

  constructor(mem: SysMem, share: Share, timer: RetryTimer | undefined) {
    const lookup = new Lookup(share);
    const own = new OwnEffects(share);
    const names = new XattrNames(share);
    const labels = new Labels(share, names);
    this.opener = new FileOpener(share);
    this.directories = new DirectoryRequests(mem, share, lookup, own);
    this.locks = new LockRequests(share, timer);
    this.opens = new OpenRequests(share, lookup, this.opener, own, labels);
    this.#entries = new EntryRequests(share, lookup, own, labels);
    this.#attributes = new AttributeRequests(share);
    this.#fileAttributes = new FileAttributeRequests(share);
    this.#data = new DataRequests(share);
    this.#xattrs = new XattrRequests(mem, share, names);
  }

  lookup(op: Operation, parent: number, name: Name): number {
    return this.#entries.lookup(op, parent, name);
  }

  getattr(op: Operation, nodeid: number, fh: number): number {
    return this.#attributes.getattr(op.entry.attr, nodeid, fh);
  }

  statx(op: Operation, nodeid: number, fh: number, out: StatxOut): number {
    return this.#attributes.statx(op.entry.attr, nodeid, fh, out);
  }

  setattr(op: Operation, nodeid: number, change: SetAttr): number {
    return this.#attributes.setattr(op.entry.attr, nodeid, change);
  }

  statfs(_op: Operation, nodeid: number, out: StatfsOut): number {
    return this.#attributes.statfs(nodeid, out);
  }

  readlink(_op: Operation, nodeid: number, to: Address, len: number): number {
    return this.#entries.readlink(nodeid, to, len);
  }

  symlink(op: Operation, parent: number, name: Name, target: Name): number {
    return this.#entries.symlink(op, parent, name, target);
  }

  mknod(op: Operation, parent: number, name: Name, mode: number, rdev: number): number {
    return this.#entries.mknod(op, parent, name, mode, rdev);
  }

  mkdir(op: Operation, parent: number, name: Name, mode: number): number {
    return this.#entries.mkdir(op, parent, name, mode);
  }

  unlink(op: Operation, parent: number, name: Name): number {
    return this.#entries.unlink(op, parent, name);
  }

  rmdir(op: Operation, parent: number, name: Name): number {
    return this.#entries.rmdir(op, parent, name);
  }

  rename(op: Operation, parent: number, name: Name, newParent: number, newName: Name, flags: number): number {
    return this.#entries.rename(op, parent, name, newParent, newName, flags);
  }

  link(op: Operation, nodeid: number, newParent: number, newName: Name): number {
    return this.#entries.link(op, nodeid, newParent, newName);
  }

  open(op: Operation, nodeid: number, flags: number, killSuidgid: boolean): number {
    return this.opens.open(op, nodeid, flags, killSuidgid);
  }

  create(op: Operation, parent: number, name: Name, flags: number, mode: number, killSuidgid: boolean): number {
    return this.opens.create(op, parent, name, flags, mode, killSuidgid);
  }

  tmpfile(op: Operation, parent: number, flags: number, mode: number): number {
    return this.opens.tmpfile(op, parent, flags, mode);
  }

  opendir(op: Operation, nodeid: number): number {
    return this.directories.opendir(op, nodeid);
  }

  syncfs(op: Operation, nodeid: number): number {
    return this.#data.syncfs(op, nodeid);
  }

  getxattr(_op: Operation, nodeid: number, name: Name, to: Address, size: number): number {
    return this.#xattrs.get(nodeid, name, to, size);
  }

  setxattr(
    op: Operation,
    nodeid: number,
    name: Name,
    value: Address,
    size: number,
    flags: number,
    aclKillSgid: boolean,
  ): number {
    return this.#xattrs.set(op, nodeid, name, value, size, flags, aclKillSgid);
  }

  listxattr(_op: Operation, nodeid: number, to: Address, size: number): number {
    return this.#xattrs.list(nodeid, to, size);
  }

  removexattr(op: Operation, nodeid: number, name: Name): number {
    return this.#xattrs.remove(op, nodeid, name);
  }

  read(op: Operation, _nodeid: number, fh: number, offset: number, io: IoVector): number {
    return this.#data.read(op, fh, offset, io);
  }

  write(
    op: Operation,
    _nodeid: number,
    fh: number,
    offset: number,
    io: IoVector,
    openFlags: number,
    writeFlags: number,
  ): number {
    return this.#data.write(op, fh, offset, io, openFlags, writeFlags);
  }

  /** @param kind - FILE, or DIRECTORY for FSYNCDIR */
  fsync(op: Operation, _nodeid: number, fh: number, dataOnly: boolean, kind: number): number {
    return this.#data.fsync(op, fh, kind, dataOnly);
  }

  fallocate(op: Operation, _nodeid: number, fh: number, offset: number, len: number, mode: number): number {
    return this.#data.fallocate(op, fh, offset, len, mode);
  }

  lseek(op: Operation, _nodeid: number, fh: number, offset: number, whence: number): number {
    return this.#data.lseek(op, fh, offset, whence);
  }

  copyFileRange(
    op: Operation,
    _nodeidIn: number,
    fhIn: number,
    offIn: number,
    _nodeidOut: number,
    fhOut: number,
    offOut: number,
    len: number,
  ): number {
    return this.#data.copyFileRange(op, fhIn, offIn, fhOut, offOut, len);
  }

  flush(_op: Operation, _nodeid: number, fh: number): number {
    return this.opens.flush(fh);
  }

  ioctl(
    op: Operation,
    _nodeid: number,
    fh: number,
    cmd: number,
    input: Address,
    inSize: number,
    output: Address,
    outSize: number,
  ): number {
    return this.#fileAttributes.ioctl(op, fh, cmd, input, inSize, output, outSize);
  }

  readdir(
    op: Operation,
    nodeid: number,
    fh: number,
    cookieLo: number,
    cookieHi: number,
    sink: DirSink,
    plus: boolean,
  ): number {
    return this.directories.readdir(op, nodeid, fh, cookieLo, cookieHi, sink, plus);
  }

  getlk(_op: Operation, nodeid: number, fh: number, lock: FileLock): number {
    return this.locks.get(nodeid, fh, lock);
  }

  setlk(op: Operation, nodeid: number, fh: number, lock: FileLock, wait: boolean): number {
    return this.locks.set(op, nodeid, fh, lock, wait);
  }

  [Symbol.dispose](): void {
    this.directories[Symbol.dispose]();
  }
}
