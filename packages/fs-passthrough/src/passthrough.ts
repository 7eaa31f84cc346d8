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
import type { Address, HelperThreads } from '@oriel/sys';
import { DIRECTORY, FILE } from './handles.ts';
import { MappingRequests } from './mapping-requests.ts';
import { ShareMigration } from './migration/share-migration.ts';
import type { PassthroughOptions } from './options.ts';
import { type RemoteRequests, remoteRequests } from './remote/remote-requests.ts';
import { ELSEWHERE, Share } from './share.ts';
import { ShareRequests } from './share-requests.ts';
import { ShareSurvival } from './survival/share-survival.ts';

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
  readonly #here: ShareRequests;
  readonly #remote: RemoteRequests;
  readonly #mappings: MappingRequests;
  readonly #remoteThreads: HelperThreads | undefined;
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
    const { posixLocks = false, flockLocks = false } = options;
    const here = new ShareRequests(options.sys.mem, share, options.timer);
    const remote = remoteRequests(share, here);
    this.features = share.settings.features;
    this.#share = share;
    this.#survival = new ShareSurvival(share);
    this.#here = here;
    this.#remote = remote;
    this.#mappings = new MappingRequests(share);
    this.#remoteThreads = options.remoteOffload;
    if (posixLocks || flockLocks) {
      this.locks = { posix: posixLocks, flock: flockLocks };
      this.getlk = (op, nodeid, fh, lock) => this.#onHandle(fh).getlk(op, nodeid, fh, lock);
      this.setlk = (op, nodeid, fh, lock, wait) => this.#onHandle(fh).setlk(op, nodeid, fh, lock, wait);
    } else {
      this.migration = new ShareMigration(share, options.migration ?? {});
    }
    this.inDaxUse = (nodeid) => this.#mappings.wasMapped(nodeid);
    if (share.settings.xattr) {
      this.getxattr = (op, nodeid, name, to, size) => this.#on(nodeid).getxattr(op, nodeid, name, to, size);
      this.setxattr = (op, nodeid, name, value, size, flags, killSgid) =>
        this.#on(nodeid).setxattr(op, nodeid, name, value, size, flags, killSgid);
      this.listxattr = (op, nodeid, to, size) => this.#on(nodeid).listxattr(op, nodeid, to, size);
      this.removexattr = (op, nodeid, name) => this.#on(nodeid).removexattr(op, nodeid, name);
    }
  }

  /**
   * Tells whether an inode is in DAX use, for the option `daxKeepCache`. At first: whether `openForMapping` was called for
   * it since the guest came to know it. A device that knows better puts its own test here.
   */
  get inDaxUse(): (nodeid: number) => boolean {
    return this.#here.opener.inDaxUse;
  }

  set inDaxUse(test: (nodeid: number) => boolean) {
    this.#here.opener.inDaxUse = test;
  }

  get stats(): PassthroughStats {
    const { inodes, handles, devices, calls, runs } = this.#share;
    return {
      inodes: inodes.size,
      inodeDescriptors: inodes.descriptors,
      handles: handles.size,
      devices: devices.count,
      pending: calls.pending + runs.pending,
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
    this.#here.locks.clear();
    this.#share.clear();
    this.#here.directories.clear();
    this.#mappings.clear();
  }

  lookup(op: Operation, parent: number, name: Name): number {
    const result = this.#on(parent).lookup(op, parent, name);
    return result === ELSEWHERE ? this.#remote.lookup(op, parent, name) : result;
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
        this.#here.locks.forget(nodeid);
      }
    }
  }

  getattr(op: Operation, nodeid: number, fh: number): number {
    return this.#on(nodeid).getattr(op, nodeid, fh);
  }

  statx(op: Operation, nodeid: number, fh: number, out: StatxOut): number {
    return this.#on(nodeid).statx(op, nodeid, fh, out);
  }

  ioctl(
    op: Operation,
    nodeid: number,
    fh: number,
    cmd: number,
    input: Address,
    inSize: number,
    output: Address,
    outSize: number,
  ): number {
    return this.#onHandle(fh).ioctl(op, nodeid, fh, cmd, input, inSize, output, outSize);
  }

  setattr(op: Operation, nodeid: number, change: SetAttr): number {
    const away = this.#share.isRemote(nodeid) || this.#share.isRemoteHandle(change.fh);
    return (away ? this.#remote : this.#here).setattr(op, nodeid, change);
  }

  statfs(op: Operation, nodeid: number, out: StatfsOut): number {
    return this.#on(nodeid).statfs(op, nodeid, out);
  }

  readlink(op: Operation, nodeid: number, to: Address, len: number): number {
    return this.#on(nodeid).readlink(op, nodeid, to, len);
  }

  symlink(op: Operation, parent: number, name: Name, target: Name): number {
    return this.#on(parent).symlink(op, parent, name, target);
  }

  mknod(op: Operation, parent: number, name: Name, mode: number, rdev: number): number {
    return this.#on(parent).mknod(op, parent, name, mode, rdev);
  }

  mkdir(op: Operation, parent: number, name: Name, mode: number): number {
    return this.#on(parent).mkdir(op, parent, name, mode);
  }

  unlink(op: Operation, parent: number, name: Name): number {
    return this.#on(parent).unlink(op, parent, name);
  }

  rmdir(op: Operation, parent: number, name: Name): number {
    return this.#on(parent).rmdir(op, parent, name);
  }

  rename(op: Operation, parent: number, name: Name, newParent: number, newName: Name, flags: number): number {
    return this.#onBoth(parent, newParent).rename(op, parent, name, newParent, newName, flags);
  }

  link(op: Operation, nodeid: number, newParent: number, newName: Name): number {
    return this.#onBoth(nodeid, newParent).link(op, nodeid, newParent, newName);
  }

  open(op: Operation, nodeid: number, flags: number, killSuidgid: boolean): number {
    const result = this.#on(nodeid).open(op, nodeid, flags, killSuidgid);
    return result === ELSEWHERE ? this.#remote.open(op, nodeid, flags, killSuidgid) : result;
  }

  create(op: Operation, parent: number, name: Name, flags: number, mode: number, killSuidgid: boolean): number {
    const result = this.#on(parent).create(op, parent, name, flags, mode, killSuidgid);
    return result === ELSEWHERE ? this.#remote.create(op, parent, name, flags, mode, killSuidgid) : result;
  }

  tmpfile(op: Operation, parent: number, flags: number, mode: number): number {
    return this.#on(parent).tmpfile(op, parent, flags, mode);
  }

  flush(op: Operation, nodeid: number, fh: number, ownerLo: number, ownerHi: number): number {
    this.#here.locks.ownerGone(nodeid, ownerLo, ownerHi);
    return this.#onHandle(fh).flush(op, nodeid, fh);
  }

  cancel(op: Operation): boolean {
    return this.#here.locks.cancel(op) || this.#share.runs.cancelRequest(op);
  }

  release(op: Operation, _nodeid: number, fh: number): number {
    return this.#here.opens.release(op, fh, FILE);
  }

  read(op: Operation, nodeid: number, fh: number, offset: number, io: IoVector): number {
    return this.#onHandle(fh).read(op, nodeid, fh, offset, io);
  }

  write(
    op: Operation,
    nodeid: number,
    fh: number,
    offset: number,
    io: IoVector,
    openFlags: number,
    writeFlags: number,
  ): number {
    return this.#onHandle(fh).write(op, nodeid, fh, offset, io, openFlags, writeFlags);
  }

  fsync(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number {
    return this.#onHandle(fh).fsync(op, nodeid, fh, dataOnly, FILE);
  }

  fallocate(op: Operation, nodeid: number, fh: number, offset: number, len: number, mode: number): number {
    return this.#onHandle(fh).fallocate(op, nodeid, fh, offset, len, mode);
  }

  lseek(op: Operation, nodeid: number, fh: number, offset: number, whence: number): number {
    return this.#onHandle(fh).lseek(op, nodeid, fh, offset, whence);
  }

  copyFileRange(
    op: Operation,
    nodeidIn: number,
    fhIn: number,
    offIn: number,
    nodeidOut: number,
    fhOut: number,
    offOut: number,
    len: number,
  ): number {
    const away = this.#share.isRemoteHandle(fhIn) || this.#share.isRemoteHandle(fhOut);
    return (away ? this.#remote : this.#here).copyFileRange(op, nodeidIn, fhIn, offIn, nodeidOut, fhOut, offOut, len);
  }

  syncfs(op: Operation, nodeid: number): number {
    return this.#on(nodeid).syncfs(op, nodeid);
  }

  opendir(op: Operation, nodeid: number): number {
    return this.#on(nodeid).opendir(op, nodeid);
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
    return this.#onHandle(fh).readdir(op, nodeid, fh, cookieLo, cookieHi, sink, plus);
  }

  releasedir(op: Operation, _nodeid: number, fh: number): number {
    return this.#here.directories.releasedir(op, fh);
  }

  fsyncdir(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number {
    return this.#onHandle(fh).fsync(op, nodeid, fh, dataOnly, DIRECTORY);
  }

  prepareMapping(nodeid: number, done: () => void): number {
    return this.#mappings.prepare(nodeid, done);
  }

  mapInfo(nodeid: number, out: MapInfo): number {
    return this.#mappings.info(nodeid, out);
  }

  openForMapping(nodeid: number): number {
    return this.#mappings.open(nodeid);
  }

  settle(ms: number): void {
    this.#remoteThreads?.drainFor(ms);
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
    this.#here.locks.clear();
    this.#here.directories.clear();
    this.#mappings.clear();
    this.#survival.close();
  }

  /** The requests about an inode. */
  #on(nodeid: number): RemoteRequests {
    return this.#share.isRemote(nodeid) ? this.#remote : this.#here;
  }

  #onBoth(nodeid: number, other: number): RemoteRequests {
    return this.#share.isRemote(nodeid) ? this.#remote : this.#on(other);
  }

  /** The requests about an open file or directory. */
  #onHandle(fh: number): RemoteRequests {
    return this.#share.isRemoteHandle(fh) ? this.#remote : this.#here;
  }

  /** Closes everything; waits for calls under way, but not for those on mounts that may not answer. */
  close(): void {
    if (!this.#disposed) {
      this.#disposed = true;
      this.destroy();
      this.#share[Symbol.dispose]();
      this.#here[Symbol.dispose]();
    }
  }

  /** Same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
