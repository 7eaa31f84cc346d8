/** The system calls on files of a share: made here, or, for a request on a mount that may not answer, by a helper thread. */
import { EFAULT, type Pointer, type SysFile } from '@oriel/sys';
import { CALLS } from './call-shapes.ts';
import type { RemoteRuns } from './remote-runs.ts';

/** Arguments of a run are numbers: its code keeps no memory of JavaScript's. */
type Args = readonly number[];

/** `SysFile`, by where the calls are to be made. */
export class RemoteFile implements SysFile {
  readonly #here: SysFile;
  readonly #runs: RemoteRuns;

  constructor(here: SysFile, runs: RemoteRuns) {
    this.#here = here;
    this.#runs = runs;
  }

  openat(dirfd: number, path: Pointer, flags: number, mode: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.openat(dirfd, path, flags, mode)
      : run.call(CALLS.openat, [dirfd, path, flags, mode] as Args);
  }

  openat2(dirfd: number, path: Pointer, flags: number, mode: number, resolve: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.openat2(dirfd, path, flags, mode, resolve)
      : run.call(CALLS.openat2, [dirfd, path, flags, mode, resolve] as Args);
  }

  statx(dirfd: number, path: Pointer, flags: number, mask: number, buf: Pointer): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.statx(dirfd, path, flags, mask, buf)
      : run.call(CALLS.statx, [dirfd, path, flags, mask, buf] as Args);
  }

  getdents64(fd: number, buf: Pointer, len: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.getdents64(fd, buf, len) : run.call(CALLS.getdents64, [fd, buf, len] as Args);
  }

  readlinkat(dirfd: number, path: Pointer, buf: Pointer, len: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.readlinkat(dirfd, path, buf, len)
      : run.call(CALLS.readlinkat, [dirfd, path, buf, len] as Args);
  }

  unlinkat(dirfd: number, path: Pointer, flags: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.unlinkat(dirfd, path, flags)
      : run.call(CALLS.unlinkat, [dirfd, path, flags] as Args);
  }

  mkdirat(dirfd: number, path: Pointer, mode: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.mkdirat(dirfd, path, mode) : run.call(CALLS.mkdirat, [dirfd, path, mode] as Args);
  }

  mknodat(dirfd: number, path: Pointer, mode: number, rdev: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.mknodat(dirfd, path, mode, rdev)
      : run.call(CALLS.mknodat, [dirfd, path, mode, rdev] as Args);
  }

  symlinkat(target: Pointer, dirfd: number, path: Pointer): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.symlinkat(target, dirfd, path)
      : run.call(CALLS.symlinkat, [target, dirfd, path] as Args);
  }

  linkat(olddirfd: number, oldpath: Pointer, newdirfd: number, newpath: Pointer, flags: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.linkat(olddirfd, oldpath, newdirfd, newpath, flags)
      : run.call(CALLS.linkat, [olddirfd, oldpath, newdirfd, newpath, flags] as Args);
  }

  renameat2(olddirfd: number, oldpath: Pointer, newdirfd: number, newpath: Pointer, flags: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.renameat2(olddirfd, oldpath, newdirfd, newpath, flags)
      : run.call(CALLS.renameat2, [olddirfd, oldpath, newdirfd, newpath, flags] as Args);
  }

  fchmod(fd: number, mode: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.fchmod(fd, mode) : run.call(CALLS.fchmod, [fd, mode] as Args);
  }

  fchmodat(dirfd: number, path: Pointer, mode: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.fchmodat(dirfd, path, mode)
      : run.call(CALLS.fchmodat, [dirfd, path, mode] as Args);
  }

  fchownat(dirfd: number, path: Pointer, uid: number, gid: number, flags: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.fchownat(dirfd, path, uid, gid, flags)
      : run.call(CALLS.fchownat, [dirfd, path, uid, gid, flags] as Args);
  }

  utimensat(dirfd: number, path: Pointer | 0, times: Pointer, flags: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.utimensat(dirfd, path, times, flags)
      : run.call(CALLS.utimensat, [dirfd, path, times, flags] as Args);
  }

  ftruncate(fd: number, len: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.ftruncate(fd, len) : run.call(CALLS.ftruncate, [fd, len] as Args);
  }

  fallocate(fd: number, mode: number, offset: number, len: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.fallocate(fd, mode, offset, len)
      : run.call(CALLS.fallocate, [fd, mode, offset, len] as Args);
  }

  fsync(fd: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.fsync(fd) : run.call(CALLS.fsync, [fd] as Args);
  }

  fdatasync(fd: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.fdatasync(fd) : run.call(CALLS.fdatasync, [fd] as Args);
  }

  syncfs(fd: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.syncfs(fd) : run.call(CALLS.syncfs, [fd] as Args);
  }

  fstatfs(fd: number, buf: Pointer): number {
    const run = this.#runs.active;
    return run === null ? this.#here.fstatfs(fd, buf) : run.call(CALLS.fstatfs, [fd, buf] as Args);
  }

  setxattr(path: Pointer, name: Pointer, value: Pointer, size: number, flags: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.setxattr(path, name, value, size, flags)
      : run.call(CALLS.setxattr, [path, name, value, size, flags] as Args);
  }

  getxattr(path: Pointer, name: Pointer, value: Pointer, size: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.getxattr(path, name, value, size)
      : run.call(CALLS.getxattr, [path, name, value, size] as Args);
  }

  listxattr(path: Pointer, list: Pointer, size: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.listxattr(path, list, size)
      : run.call(CALLS.listxattr, [path, list, size] as Args);
  }

  removexattr(path: Pointer, name: Pointer): number {
    const run = this.#runs.active;
    return run === null ? this.#here.removexattr(path, name) : run.call(CALLS.removexattr, [path, name] as Args);
  }

  ioctl(fd: number, request: number, argument: Pointer): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.ioctl(fd, request, argument)
      : run.call(CALLS.ioctl, [fd, request, argument] as Args);
  }

  flock(fd: number, operation: number): number {
    const run = this.#runs.active;
    return run === null ? this.#here.flock(fd, operation) : run.call(CALLS.flock, [fd, operation] as Args);
  }

  fcntlLock(fd: number, cmd: number, lock: Pointer): number {
    const run = this.#runs.active;
    return run === null ? this.#here.fcntlLock(fd, cmd, lock) : run.call(CALLS.fcntlLock, [fd, cmd, lock] as Args);
  }

  nameToHandleAt(dirfd: number, path: Pointer, handle: Pointer, mountId: Pointer, flags: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.nameToHandleAt(dirfd, path, handle, mountId, flags)
      : run.call(CALLS.nameToHandleAt, [dirfd, path, handle, mountId, flags] as Args);
  }

  openByHandleAt(mountFd: number, handle: Pointer, flags: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.openByHandleAt(mountFd, handle, flags)
      : run.call(CALLS.openByHandleAt, [mountFd, handle, flags] as Args);
  }

  /** Data of a run lies in its own memory (see `readAway`), since the guest's may go meanwhile. */
  preadv2(fd: number, iov: Pointer, count: number, offset: number, flags: number): number {
    return this.#runs.active === null ? this.#here.preadv2(fd, iov, count, offset, flags) : -EFAULT;
  }

  pwritev2(fd: number, iov: Pointer, count: number, offset: number, flags: number): number {
    return this.#runs.active === null ? this.#here.pwritev2(fd, iov, count, offset, flags) : -EFAULT;
  }

  lseek(fd: number, offset: number | bigint, whence: number): number | bigint {
    const run = this.#runs.active;
    // Only of directories that are the run's own are there places of more bits.
    return run === null || typeof offset === 'bigint'
      ? this.#here.lseek(fd, offset, whence)
      : run.call(CALLS.lseek, [fd, offset, whence] as Args);
  }

  copyFileRange(fdIn: number, offIn: number, fdOut: number, offOut: number, len: number): number {
    const run = this.#runs.active;
    return run === null
      ? this.#here.copyFileRange(fdIn, offIn, fdOut, offOut, len)
      : run.call(CALLS.copyFileRange, [fdIn, offIn, fdOut, offOut, len]);
  }
}
