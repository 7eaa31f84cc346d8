/** The descriptor slice. */
import { F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FD_CLOEXEC } from '../constants/fcntl.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../constants/file.ts';
import type { SysFd } from '../sys.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';

/** asm-generic/resource.h */
const RLIMIT_NOFILE = 7;

/** Descriptors below this belong to stdin, stdout and stderr, even where those are closed. */
const FIRST_FREE_FD = 3;

export function openFd(): SysFd {
  const { close, fcntl, pipe2, prlimit64, read, write, pread64, pwrite64 } = SYS;
  const iipp = rawCall('iipp');
  const i = rawCall('i');
  const pi = rawCall('pi');
  const iii = rawCall('iii');
  const ipi = rawCall('ipi');
  const ipii = rawCall('ipii');
  const setFlag = (fd: number, get: number, set: number, flag: number, on: boolean): number => {
    const flags = iii(fcntl, fd, get, 0);
    if (flags === -1) {
      return -errno();
    }
    return iii(fcntl, fd, set, on ? flags | flag : flags & ~flag) === -1 ? -errno() : 0;
  };
  return {
    close(fd) {
      return i(close, fd) === -1 ? -errno() : 0;
    },
    dup(fd) {
      const result = iii(fcntl, fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
      return result === -1 ? -errno() : result;
    },
    setNonBlocking(fd, on) {
      return setFlag(fd, F_GETFL, F_SETFL, O_NONBLOCK, on);
    },
    setCloexec(fd, on) {
      return setFlag(fd, F_GETFD, F_SETFD, FD_CLOEXEC, on);
    },
    pipe(out) {
      return pi(pipe2, out, O_CLOEXEC) === -1 ? -errno() : 0;
    },
    read(fd, to, len) {
      const result = ipi(read, fd, to, len);
      return result === -1 ? -errno() : result;
    },
    write(fd, from, len) {
      const result = ipi(write, fd, from, len);
      return result === -1 ? -errno() : result;
    },
    pread(fd, to, len, offset) {
      const result = ipii(pread64, fd, to, len, offset);
      return result === -1 ? -errno() : result;
    },
    pwrite(fd, from, len, offset) {
      const result = ipii(pwrite64, fd, from, len, offset);
      return result === -1 ? -errno() : result;
    },
    fcntl(fd, cmd, arg) {
      const result = iii(fcntl, fd, cmd, arg);
      return result === -1 ? -errno() : result;
    },
    setDescriptorLimit(count) {
      const limits = new BigUint64Array([BigInt(count), BigInt(count)]);
      return iipp(prlimit64, 0, RLIMIT_NOFILE, limits, 0) === -1 ? -errno() : 0;
    },
  };
}
