/** The file slice. */
import { U64 } from '@oriel/layout';
import { OpenHow } from '../layouts.ts';
import type { SysFile } from '../sys.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';
import type { Scratch } from './scratch.ts';

/** @param scratch - memory for `struct open_how` and the offsets of copy_file_range */
export function openFile(scratch: Scratch): SysFile {
  const nr = { ...SYS };
  const i = rawCall('i');
  const ii = rawCall('ii');
  const ip = rawCall('ip');
  const pp = rawCall('pp');
  const iii = rawCall('iii');
  const iip = rawCall('iip');
  const ipi = rawCall('ipi');
  const ppi = rawCall('ppi');
  const pip = rawCall('pip');
  const ipii = rawCall('ipii');
  const ippi = rawCall('ippi');
  const iiii = rawCall('iiii');
  const pppi = rawCall('pppi');
  const ipiii = rawCall('ipiii');
  const ipiip = rawCall('ipiip');
  const ipipi = rawCall('ipipi');
  const ipppi = rawCall('ipppi');
  const pppii = rawCall('pppii');
  const vector = rawCall('ipiiii');
  const copy = rawCall('iiiiii');
  const view = scratch.view;
  const how = scratch.take(OpenHow.byteLength);
  const offsetIn = scratch.take(8);
  const offsetOut = scratch.take(8);
  const u64 = U64.at(0);

  return {
    openat(dirfd, path, flags, mode) {
      const result = ipii(nr.openat, dirfd, path, flags, mode);
      return result === -1 ? -errno() : result;
    },
    openat2(dirfd, path, flags, mode, resolve) {
      OpenHow.flags.set(view, how.base, flags);
      OpenHow.mode.set(view, how.base, mode);
      OpenHow.resolve.set(view, how.base, resolve);
      const result = ipii(nr.openat2, dirfd, path, how.addr, OpenHow.byteLength);
      return result === -1 ? -errno() : result;
    },
    statx(dirfd, path, flags, mask, buf) {
      return ipiip(nr.statx, dirfd, path, flags, mask, buf) === -1 ? -errno() : 0;
    },
    preadv2(fd, iov, count, offset, flags) {
      // 64-bit kernels take the whole offset from the low word and drop the high one.
      const result = vector(nr.preadv2, fd, iov, count, offset, 0, flags);
      return result === -1 ? -errno() : result;
    },
    pwritev2(fd, iov, count, offset, flags) {
      const result = vector(nr.pwritev2, fd, iov, count, offset, 0, flags);
      return result === -1 ? -errno() : result;
    },
    getdents64(fd, buf, len) {
      const result = ipi(nr.getdents64, fd, buf, len);
      return result === -1 ? -errno() : result;
    },
    lseek(fd, offset, whence) {
      const result: number | bigint = iii(nr.lseek, fd, offset, whence);
      return result === -1 ? -errno() : result;
    },
    readlinkat(dirfd, path, buf, len) {
      const result = ippi(nr.readlinkat, dirfd, path, buf, len);
      return result === -1 ? -errno() : result;
    },
    unlinkat(dirfd, path, flags) {
      return ipi(nr.unlinkat, dirfd, path, flags) === -1 ? -errno() : 0;
    },
    mkdirat(dirfd, path, mode) {
      return ipi(nr.mkdirat, dirfd, path, mode) === -1 ? -errno() : 0;
    },
    mknodat(dirfd, path, mode, rdev) {
      return ipii(nr.mknodat, dirfd, path, mode, rdev) === -1 ? -errno() : 0;
    },
    symlinkat(target, dirfd, path) {
      return pip(nr.symlinkat, target, dirfd, path) === -1 ? -errno() : 0;
    },
    linkat(olddirfd, oldpath, newdirfd, newpath, flags) {
      return ipipi(nr.linkat, olddirfd, oldpath, newdirfd, newpath, flags) === -1 ? -errno() : 0;
    },
    renameat2(olddirfd, oldpath, newdirfd, newpath, flags) {
      return ipipi(nr.renameat2, olddirfd, oldpath, newdirfd, newpath, flags) === -1 ? -errno() : 0;
    },
    fchmod(fd, mode) {
      return ii(nr.fchmod, fd, mode) === -1 ? -errno() : 0;
    },
    fchmodat(dirfd, path, mode) {
      return ipi(nr.fchmodat, dirfd, path, mode) === -1 ? -errno() : 0;
    },
    fchownat(dirfd, path, uid, gid, flags) {
      return ipiii(nr.fchownat, dirfd, path, uid, gid, flags) === -1 ? -errno() : 0;
    },
    utimensat(dirfd, path, times, flags) {
      return ippi(nr.utimensat, dirfd, path, times, flags) === -1 ? -errno() : 0;
    },
    ftruncate(fd, len) {
      return ii(nr.ftruncate, fd, len) === -1 ? -errno() : 0;
    },
    fallocate(fd, mode, offset, len) {
      return iiii(nr.fallocate, fd, mode, offset, len) === -1 ? -errno() : 0;
    },
    fsync(fd) {
      return i(nr.fsync, fd) === -1 ? -errno() : 0;
    },
    fdatasync(fd) {
      return i(nr.fdatasync, fd) === -1 ? -errno() : 0;
    },
    syncfs(fd) {
      return i(nr.syncfs, fd) === -1 ? -errno() : 0;
    },
    fstatfs(fd, buf) {
      return ip(nr.fstatfs, fd, buf) === -1 ? -errno() : 0;
    },
    copyFileRange(fdIn, offIn, fdOut, offOut, len) {
      u64.set(view, offsetIn.base, offIn);
      u64.set(view, offsetOut.base, offOut);
      const result = copy(nr.copy_file_range, fdIn, offsetIn.addr, fdOut, offsetOut.addr, len, 0);
      return result === -1 ? -errno() : result;
    },
    setxattr(path, name, value, size, flags) {
      return pppii(nr.setxattr, path, name, value, size, flags) === -1 ? -errno() : 0;
    },
    getxattr(path, name, value, size) {
      const result = pppi(nr.getxattr, path, name, value, size);
      return result === -1 ? -errno() : result;
    },
    listxattr(path, list, size) {
      const result = ppi(nr.listxattr, path, list, size);
      return result === -1 ? -errno() : result;
    },
    removexattr(path, name) {
      return pp(nr.removexattr, path, name) === -1 ? -errno() : 0;
    },
    ioctl(fd, request, argument) {
      const result = iip(nr.ioctl, fd, request, argument);
      return result === -1 ? -errno() : result;
    },
    flock(fd, operation) {
      return ii(nr.flock, fd, operation) === -1 ? -errno() : 0;
    },
    fcntlLock(fd, cmd, lock) {
      return iip(nr.fcntl, fd, cmd, lock) === -1 ? -errno() : 0;
    },
    nameToHandleAt(dirfd, path, handle, mountId, flags) {
      return ipppi(nr.name_to_handle_at, dirfd, path, handle, mountId, flags) === -1 ? -errno() : 0;
    },
    openByHandleAt(mountFd, handle, flags) {
      const result = ipi(nr.open_by_handle_at, mountFd, handle, flags);
      return result === -1 ? -errno() : result;
    },
  };
}
