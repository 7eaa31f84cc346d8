/** The requests of a guest, each taken to where it is served: its code is executed here, or in a run on a mount that may not answer. */
import type { DirSink, FileLock, IoVector, Name, Operation, SetAttr, StatfsOut, StatxOut } from '@oriel/fuse';
import type { Address } from '@oriel/sys';
import { DIRECTORY, FILE } from './handles.ts';
import { type RemoteRequests, remoteRequests } from './remote/remote-requests.ts';
import { ELSEWHERE, type RequestRoutes } from './remote/request-routes.ts';
import type { Share } from './share.ts';
import type { ShareRequests } from './share-requests.ts';

/** Methods as `Filesystem` has them. */
export class RoutedRequests {
  protected readonly here: ShareRequests;
  readonly #remote: RemoteRequests;
  readonly #routes: RequestRoutes;
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
  readonly removexattr?: (op: Operation, nodeid: number, name: Name) => number;
  /** Only with `posixLocks` or `flockLocks`. */
  readonly locks?: { readonly posix: boolean; readonly flock: boolean };
  readonly getlk?: (op: Operation, nodeid: number, fh: number, lock: FileLock) => number;
  readonly setlk?: (op: Operation, nodeid: number, fh: number, lock: FileLock, wait: boolean) => number;

  /** @param locks - null: the host holds none for the guest */
  constructor(share: Share, here: ShareRequests, locks: { readonly posix: boolean; readonly flock: boolean } | null) {
    this.here = here;
    this.#remote = remoteRequests(share.routes, here);
    this.#routes = share.routes;
    if (locks !== null) {
      this.locks = locks;
      this.getlk = (op, nodeid, fh, lock) => this.#onHandle(fh).getlk(op, nodeid, fh, lock);
      this.setlk = (op, nodeid, fh, lock, wait) => this.#onHandle(fh).setlk(op, nodeid, fh, lock, wait);
    }
    if (share.settings.xattr) {
      this.getxattr = (op, nodeid, name, to, size) => this.#on(nodeid).getxattr(op, nodeid, name, to, size);
      this.setxattr = (op, nodeid, name, value, size, flags, killSgid) =>
        this.#on(nodeid).setxattr(op, nodeid, name, value, size, flags, killSgid);
      this.listxattr = (op, nodeid, to, size) => this.#on(nodeid).listxattr(op, nodeid, to, size);
      this.removexattr = (op, nodeid, name) => this.#on(nodeid).removexattr(op, nodeid, name);
    }
  }

  lookup(op: Operation, parent: number, name: Name): number {
    const result = this.#on(parent).lookup(op, parent, name);
    return result === ELSEWHERE ? this.#remote.lookup(op, parent, name) : result;
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
    const away = this.#routes.isRemote(nodeid) || this.#routes.isRemoteHandle(change.fh);
    return (away ? this.#remote : this.here).setattr(op, nodeid, change);
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
    this.here.locks.ownerGone(nodeid, ownerLo, ownerHi);
    return this.#onHandle(fh).flush(op, nodeid, fh);
  }

  release(op: Operation, _nodeid: number, fh: number): number {
    return this.here.opens.release(op, fh, FILE);
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
    const away = this.#routes.isRemoteHandle(fhIn) || this.#routes.isRemoteHandle(fhOut);
    return (away ? this.#remote : this.here).copyFileRange(op, nodeidIn, fhIn, offIn, nodeidOut, fhOut, offOut, len);
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
    return this.here.directories.releasedir(op, fh);
  }

  fsyncdir(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number {
    return this.#onHandle(fh).fsync(op, nodeid, fh, dataOnly, DIRECTORY);
  }

  /** The requests about an inode. */
  #on(nodeid: number): RemoteRequests {
    return this.#routes.isRemote(nodeid) ? this.#remote : this.here;
  }

  #onBoth(nodeid: number, other: number): RemoteRequests {
    return this.#routes.isRemote(nodeid) ? this.#remote : this.#on(other);
  }

  /** The requests about an open file or directory. */
  #onHandle(fh: number): RemoteRequests {
    return this.#routes.isRemoteHandle(fh) ? this.#remote : this.here;
  }
}
