/** Sockets at a path: binding with the right mode from the first moment, connecting, replacing what is stale. */
import { EADDRINUSE, ECONNREFUSED, EINVAL, ENAMETOOLONG, ENOENT, ENOTSOCK } from '../constants/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_NOFOLLOW,
  O_PATH,
  S_IFMT,
  S_IFSOCK,
  STATX_MODE,
  STATX_TYPE,
} from '../constants/file.ts';
import { AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM } from '../constants/socket.ts';
import { SockaddrUn, Statx } from '../layouts.ts';
import { withDirectoryLock } from './directory-lock.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';
import type { Scratch } from './scratch.ts';

const PATH_AT = SockaddrUn.sunPath.offset;
/** Room for `/proc/self/fd/N` and its NUL. */
const LINK_NAME_LEN = 32;
const PATH_MAX_LEN = SockaddrUn.sunPath.size - 1;

/** The calls of the socket slice that name a path. */
export interface UnixAddress {
  listen(path: string, mode: number, gid: number, backlog: number): number;
  connect(path: string): number;
  bindDatagram(path: string, mode: number): number;
  connectDatagram(path: string): number;
}

/** @param scratch - memory for the address and a `struct statx` */
export function openUnixAddress(scratch: Scratch): UnixAddress {
  const nr = { ...SYS };
  const i = rawCall('i');
  const ii = rawCall('ii');
  const iii = rawCall('iii');
  const iiii = rawCall('iiii');
  const iiiii = rawCall('iiiii');
  const { view, u8 } = scratch;
  const address = scratch.take(SockaddrUn.byteLength);
  const stat = scratch.take(Statx.byteLength);
  const linkName = scratch.take(LINK_NAME_LEN);
  const pathAddr = address.addr + PATH_AT;
  const encoder = new TextEncoder();

  /** Writes the address; its length, or a negative errno for a path that no socket can have. */
  const setAddress = (path: string): number => {
    if (path === '' || path.includes('\0')) {
      return -EINVAL;
    }
    const bytes = encoder.encode(path);
    if (bytes.length > PATH_MAX_LEN) {
      return -ENAMETOOLONG;
    }
    SockaddrUn.sunFamily.set(view, address.base, AF_UNIX);
    u8.set(bytes, address.base + PATH_AT);
    u8[address.base + PATH_AT + bytes.length] = 0;
    return PATH_AT + bytes.length + 1;
  };

  const makeSocket = (type: number): number => {
    const fd = iii(nr.socket, AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd === -1 ? -errno() : fd;
  };

  /** Connects a new socket to the address at hand. */
  const connectTo = (addressLen: number, type: number): number => {
    const fd = makeSocket(type);
    if (fd < 0) {
      return fd;
    }
    if (iii(nr.connect, fd, address.addr, addressLen) === -1) {
      const error = -errno();
      i(nr.close, fd);
      return error;
    }
    return fd;
  };

  const isSocketFile = (): boolean =>
    iiiii(nr.statx, AT_FDCWD, pathAddr, AT_SYMLINK_NOFOLLOW, STATX_TYPE, stat.addr) === 0 &&
    (Statx.stxMode.get(view, stat.base) & S_IFMT) === S_IFSOCK;

  /** Removes a socket file on which nobody listens. @returns 0, or -EADDRINUSE for anything else */
  const removeStale = (addressLen: number): number => {
    if (!isSocketFile()) {
      return -EADDRINUSE;
    }
    const probe = connectTo(addressLen, SOCK_STREAM);
    if (probe >= 0) {
      i(nr.close, probe);
      return -EADDRINUSE;
    }
    if (probe === -ENOENT) {
      return 0;
    }
    if (probe !== -ECONNREFUSED) {
      return -EADDRINUSE;
    }
    return iii(nr.unlinkat, AT_FDCWD, pathAddr, 0) === -1 && errno() !== ENOENT ? -errno() : 0;
  };

  /** Sets group and mode of the socket file just bound, whatever the umask was. */
  const setAccess = (mode: number, gid: number): number => {
    const file = iiii(nr.openat, AT_FDCWD, pathAddr, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    if (file === -1) {
      return -errno();
    }
    const result = setAccessOf(file, mode, gid);
    i(nr.close, file);
    return result;
  };

  const setAccessOf = (file: number, mode: number, gid: number): number => {
    const name = u8.subarray(linkName.base, linkName.base + LINK_NAME_LEN);
    const { written } = encoder.encodeInto(`/proc/self/fd/${file}\0`, name);
    const noName = linkName.addr + written - 1;
    if (iiiii(nr.statx, file, noName, AT_EMPTY_PATH, STATX_TYPE | STATX_MODE, stat.addr) === -1) {
      return -errno();
    }
    const current = Statx.stxMode.get(view, stat.base);
    if ((current & S_IFMT) !== S_IFSOCK) {
      return -ENOTSOCK;
    }
    if (gid !== -1 && iiiii(nr.fchownat, file, noName, -1, gid, AT_EMPTY_PATH) === -1) {
      return -errno();
    }
    if ((current & ~S_IFMT) !== mode && iii(nr.fchmodat, AT_FDCWD, linkName.addr, mode) === -1) {
      return -errno();
    }
    return 0;
  };

  /** Binds a new datagram socket to the address at hand; its file takes the mode of the socket. */
  const bindAt = (addressLen: number, mode: number): number => {
    const fd = makeSocket(SOCK_DGRAM);
    if (fd < 0) {
      return fd;
    }
    if (ii(nr.fchmod, fd, mode) === -1 || iii(nr.bind, fd, address.addr, addressLen) === -1) {
      const error = -errno();
      i(nr.close, fd);
      return error;
    }
    return fd;
  };

  /** Makes the socket of the address at hand. */
  const listenAt = (addressLen: number, mode: number, gid: number, backlog: number): number => {
    const fd = makeSocket(SOCK_STREAM);
    if (fd < 0) {
      return fd;
    }
    const fail = (error: number): number => {
      i(nr.close, fd);
      return error;
    };
    // The file takes the mode of the socket, so it is never more open than asked for, not even before setAccess.
    if (ii(nr.fchmod, fd, mode) === -1) {
      return fail(-errno());
    }
    if (iii(nr.bind, fd, address.addr, addressLen) === -1) {
      const error = errno();
      if (error !== EADDRINUSE) {
        return fail(-error);
      }
      const removed = removeStale(addressLen);
      if (removed < 0) {
        return fail(removed);
      }
      if (iii(nr.bind, fd, address.addr, addressLen) === -1) {
        return fail(-errno());
      }
    }
    const access = setAccess(mode, gid);
    if (access < 0 || ii(nr.listen, fd, backlog) === -1) {
      const error = access < 0 ? access : -errno();
      iii(nr.unlinkat, AT_FDCWD, pathAddr, 0);
      return fail(error);
    }
    return fd;
  };

  return {
    listen(path, mode, gid, backlog) {
      const addressLen = setAddress(path);
      return addressLen < 0 ? addressLen : withDirectoryLock(path, () => listenAt(addressLen, mode, gid, backlog));
    },
    connect(path) {
      const addressLen = setAddress(path);
      return addressLen < 0 ? addressLen : connectTo(addressLen, SOCK_STREAM);
    },
    bindDatagram(path, mode) {
      const addressLen = setAddress(path);
      return addressLen < 0 ? addressLen : bindAt(addressLen, mode);
    },
    connectDatagram(path) {
      const addressLen = setAddress(path);
      if (addressLen < 0 || !path.startsWith('@')) {
        return addressLen < 0 ? addressLen : connectTo(addressLen, SOCK_DGRAM);
      }
      // An abstract name begins with a zero byte and ends with the address, without one (unix(7)).
      u8[address.base + PATH_AT] = 0;
      return connectTo(addressLen - 1, SOCK_DGRAM);
    },
  };
}
