/** A host directory as a `Filesystem`: this class takes each request to the part that serves it. */
import type {
  DirSink,
  FileLock,
  Filesystem,
  FilesystemJournal,
  FilesystemMigration,
  IoVector,
  MapInfo,
  Name,
  Operation,
  SessionFeatures,
  SetAttr,
  StatfsOut,
  StatxOut,
} from '@oriel/fuse';
import { FUSE_POSIX_ACL, FUSE_WRITEBACK_CACHE } from '@oriel/fuse';
import type { Address } from '@oriel/sys';
import { AttributeRequests } from './attribute-requests.ts';
import { DataRequests } from './data-requests.ts';
import { DirectoryRequests } from './directory-requests.ts';
import { EntryRequests } from './entry-requests.ts';
import { FileAttributeRequests } from './file-attributes.ts';
import { FileOpener } from './file-opener.ts';
import { DIRECTORY, FILE } from './handles.ts';
import { Labels } from './labels.ts';
import { LockRequests } from './locks/lock-requests.ts';
import { Lookup } from './lookup.ts';
import { MappingRequests } from './mapping-requests.ts';
import { ShareMigration } from './migration/share-migration.ts';
import { OpenRequests } from './open-requests.ts';
import type { PassthroughOptions } from './options.ts';
import { Share } from './share.ts';
import { OwnEffects } from './survival/own-effects.ts';
import { ShareSurvival } from './survival/share-survival.ts';
import { XattrNames } from './xattrs/xattr-names.ts';
import { XattrRequests } from './xattrs/xattr-requests.ts';

/** What a share holds at the moment. */
export interface PassthroughStats {
  /** Inodes that the guest knows, the root included. */
  readonly inodes: number;
  /** Descriptors held for these and for mounts. */
  readonly inodeDescriptors: number;
  /** Open files and directories. */
  readonly handles: number;
  /** Mounts that these lie on. */
  readonly devices: number;
  /** Requests that wait for helper threads. */
  readonly pending: number;
}

/**
 * Serves a directory of the host. The guest reaches nothing outside of it: every step goes from the descriptor of a known
 * inode to one name in it, and no symbolic link is ever followed on this side.
 *
 * As root it gives each new file to the caller. Files and attributes are changed with this process's rights, since the
 * driver has checked the caller's.
 */
export class PassthroughFilesystem implements Filesystem, Disposable {
  readonly #share: Share;
  readonly #survival: ShareSurvival;
  readonly #entries: EntryRequests;
  readonly #attributes: AttributeRequests;
  readonly #fileAttributes: FileAttributeRequests;
  readonly #opener: FileOpener;
  readonly #opens: OpenRequests;
  readonly #data: DataRequests;
  readonly #directories: DirectoryRequests;
  readonly #mappings: MappingRequests;
  readonly #locks: LockRequests;
  /** How sessions move to another host; not where the host holds locks for the guest, which cannot be moved. */
  readonly migration?: FilesystemMigration;
  /** What is to be agreed with a driver. */
  readonly features: SessionFeatures;
  /** Only with the option `xattr`: a session answers ENOSYS for what is not there. */
  readonly getxattr?: (op: Operation, nodeid: number, name: Name, to: Address, size: number) => number;
  readonly setxattr?: (
    op: Operation,
    nodeid: number,
    name: Name,
    value: Address,
    size: number,
    flags: number,
    aclKillSgid: boolean,
  ) => number;
  readonly listxattr?: (op: Operation, nodeid: number, to: Address, size: number) => number;
  /** Only with `posixLocks` or `flockLocks`. */
  readonly locks?: { readonly posix: boolean; readonly flock: boolean };
  readonly getlk?: (op: Operation, nodeid: number, fh: number, lock: FileLock) => number;
  readonly setlk?: (op: Operation, nodeid: number, fh: number, lock: FileLock, wait: boolean) => number;
  readonly removexattr?: (op: Operation, nodeid: number, name: Name) => number;
  #disposed = false;

  /**
   * Opens the directory. The process's umask should be 0: the driver has applied the caller's.
   * @throws PassthroughError ERR_PASSTHROUGH_OPTION, ERR_PASSTHROUGH_SHARE, ERR_PASSTHROUGH_PROC,
   *   ERR_PASSTHROUGH_HANDLES
   * @throws SysError ENOMEM
   */
  constructor(options: PassthroughOptions) {
    const share = new Share(options);
    const lookup = new Lookup(share);
    const own = new OwnEffects(share);
    const names = new XattrNames(share);
    const labels = new Labels(share, names);
    this.features = share.settings.features;
    this.#share = share;
    this.#survival = new ShareSurvival(share);
    this.#entries = new EntryRequests(share, lookup, own, labels);
    this.#attributes = new AttributeRequests(share);
    this.#fileAttributes = new FileAttributeRequests(share);
    this.#opener = new FileOpener(share, lookup);
    this.#opens = new OpenRequests(share, lookup, this.#opener, own, labels);
    this.#data = new DataRequests(share);
    this.#directories = new DirectoryRequests(options.sys, share, lookup, own);
    this.#mappings = new MappingRequests(share);
    const { posixLocks = false, flockLocks = false } = options;
    this.#locks = new LockRequests(share, options.timer);
    if (posixLocks || flockLocks) {
      const locks = this.#locks;
      this.locks = { posix: posixLocks, flock: flockLocks };
      this.getlk = (_op, nodeid, fh, lock) => locks.get(nodeid, fh, lock);
      this.setlk = (op, nodeid, fh, lock, wait) => locks.set(op, nodeid, fh, lock, wait);
    } else {
      this.migration = new ShareMigration(share, options.migration ?? {});
    }
    this.inDaxUse = (nodeid) => this.#mappings.wasMapped(nodeid);
    if (share.settings.xattr) {
      const xattrs = new XattrRequests(options.sys.mem, share, names);
      this.getxattr = (_op, nodeid, name, to, size) => xattrs.get(nodeid, name, to, size);
      this.setxattr = (op, nodeid, name, value, size, flags, killSgid) =>
        xattrs.set(op, nodeid, name, value, size, flags, killSgid);
      this.listxattr = (_op, nodeid, to, size) => xattrs.list(nodeid, to, size);
      this.removexattr = (op, nodeid, name) => xattrs.remove(op, nodeid, name);
    }
  }

  /**
   * Tells whether an inode is in DAX use, for the option `daxKeepCache`. At first: whether `openForMapping` was called for
   * it since the guest came to know it. A device that knows better puts its own test here.
   */
  get inDaxUse(): (nodeid: number) => boolean {
    return this.#opener.inDaxUse;
  }

  set inDaxUse(test: (nodeid: number) => boolean) {
    this.#opener.inDaxUse = test;
  }

  get stats(): PassthroughStats {
    const { inodes, handles, devices, calls } = this.#share;
    return {
      inodes: inodes.size,
      inodeDescriptors: inodes.descriptors,
      handles: handles.size,
      devices: devices.count,
      pending: calls.pending,
    };
  }

  init(): number {
    this.destroy();
    return 0;
  }

  initialised(flagsLo: number): void {
    this.#share.accessLists = (flagsLo & FUSE_POSIX_ACL) !== 0;
    this.#share.writeback = (flagsLo & FUSE_WRITEBACK_CACHE) !== 0;
  }

  /** Drops every handle, and every inode but the root; calls still under way end by themselves. */
  destroy(): void {
    this.#locks.clear();
    this.#share.clear();
    this.#directories.clear();
    this.#mappings.clear();
  }

  lookup(op: Operation, parent: number, name: Name): number {
    return this.#entries.lookup(op, parent, name);
  }

  forget(nodeid: number, count: number, op: Operation | null): void {
    const { inodes } = this.#share;
    const slot = inodes.slotOf(nodeid);
    if (slot >= 0) {
      const intent = op?.intent ?? null;
      if (intent !== null) {
        // The count of an inode that a FORGET took before tells whether it was taken away.
        const taken = intent.again && intent.nodeid === nodeid && inodes.count(slot) !== intent.countBefore;
        if (taken) return;
        intent.counts(nodeid, inodes.count(slot));
      }
      inodes.forget(slot, count);
      if (inodes.slotOf(nodeid) < 0) {
        this.#mappings.forget(nodeid);
        this.#locks.forget(nodeid);
      }
    }
  }

  getattr(op: Operation, nodeid: number, fh: number): number {
    return this.#attributes.getattr(op.entry.attr, nodeid, fh);
  }

  statx(op: Operation, nodeid: number, fh: number, out: StatxOut): number {
    return this.#attributes.statx(op.entry.attr, nodeid, fh, out);
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
    return this.#opens.open(op, nodeid, flags, killSuidgid);
  }

  create(op: Operation, parent: number, name: Name, flags: number, mode: number, killSuidgid: boolean): number {
    return this.#opens.create(op, parent, name, flags, mode, killSuidgid);
  }

  tmpfile(op: Operation, parent: number, flags: number, mode: number): number {
    return this.#opens.tmpfile(op, parent, flags, mode);
  }

  flush(_op: Operation, nodeid: number, fh: number, ownerLo: number, ownerHi: number): number {
    this.#locks.ownerGone(nodeid, ownerLo, ownerHi);
    return this.#opens.flush(fh);
  }

  cancel(op: Operation): boolean {
    return this.#locks.cancel(op);
  }

  release(op: Operation, _nodeid: number, fh: number): number {
    return this.#opens.release(op, fh, FILE);
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

  fsync(op: Operation, _nodeid: number, fh: number, dataOnly: boolean): number {
    return this.#data.fsync(op, fh, FILE, dataOnly);
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

  syncfs(op: Operation, nodeid: number): number {
    return this.#data.syncfs(op, nodeid);
  }

  opendir(op: Operation, nodeid: number): number {
    return this.#directories.opendir(op, nodeid);
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
    return this.#directories.readdir(op, nodeid, fh, cookieLo, cookieHi, sink, plus);
  }

  releasedir(op: Operation, _nodeid: number, fh: number): number {
    return this.#directories.releasedir(op, fh);
  }

  fsyncdir(op: Operation, _nodeid: number, fh: number, dataOnly: boolean): number {
    return this.#data.fsync(op, fh, DIRECTORY, dataOnly);
  }

  mapInfo(nodeid: number, out: MapInfo): number {
    return this.#mappings.info(nodeid, out);
  }

  openForMapping(nodeid: number): number {
    return this.#mappings.open(nodeid);
  }

  /** Bytes of a journal of this share. */
  get journalBytes(): number {
    return this.#survival.bytes;
  }

  /** Keeps inodes and handles in a journal, for another process. @returns 0 or a negative errno: see `ShareSurvival.open` */
  openJournal(journal: FilesystemJournal): number {
    this.destroy();
    return this.#survival.open(journal);
  }

  restore(): number {
    return this.#survival.restore();
  }

  closeJournal(): void {
    this.#locks.clear();
    this.#directories.clear();
    this.#mappings.clear();
    this.#survival.close();
  }

  /** Closes everything; waits for calls under way. */
  close(): void {
    if (!this.#disposed) {
      this.#disposed = true;
      this.destroy();
      this.#share[Symbol.dispose]();
      this.#directories[Symbol.dispose]();
    }
  }

  /** Same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
