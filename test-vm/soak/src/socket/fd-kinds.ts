/** Descriptors of every kind to send along, mostly such as no message wants. */
import {
  AT_FDCWD,
  check,
  F_SEAL_SHRINK,
  Fd,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  O_CLOEXEC,
  O_PATH,
  O_RDONLY,
  type Sys,
} from '@oriel/sys';

export type FdKind =
  | 'memory'
  | 'guarded'
  | 'tiny'
  | 'event'
  | 'socket'
  | 'lonely'
  | 'epoll'
  | 'null'
  | 'folder'
  | 'path'
  | 'proc';

export const FD_KINDS: readonly FdKind[] = [
  ...(['memory', 'guarded', 'tiny', 'event', 'socket', 'lonely', 'epoll', 'null', 'folder', 'path', 'proc'] as const),
];

const MEMORY_BYTES = 0x3_0000;
const TINY_BYTES = 100;

/** Makes a descriptor; `keep` gets those that must stay open beside it. */
export function makeFd(sys: Sys, kind: FdKind, keep: (fd: Fd) => void): Fd {
  switch (kind) {
    case 'memory':
      return memory(sys, MEMORY_BYTES, true);
    case 'guarded':
      return memory(sys, MEMORY_BYTES, false);
    case 'tiny':
      return memory(sys, TINY_BYTES, true);
    case 'event':
      return new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
    case 'socket':
    case 'lonely': {
      const pair = new Int32Array(2);
      check(sys.socket.socketpair(pair), 'socketpair');
      const other = new Fd(sys.fd, pair[1]!);
      if (kind === 'socket') keep(other);
      else other.close();
      return new Fd(sys.fd, pair[0]!);
    }
    case 'epoll':
      return new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1'));
    case 'null':
      return openPath(sys, '/dev/null', O_RDONLY);
    case 'folder':
      return openPath(sys, '/', O_RDONLY);
    case 'path':
      return openPath(sys, '/etc', O_PATH);
    case 'proc':
      return openPath(sys, '/proc/self/stat', O_RDONLY);
  }
}

/** A memfd, which may be sealed against shrinking. */
export function memory(sys: Sys, bytes: number, sealed: boolean): Fd {
  const fd = new Fd(sys.fd, check(sys.mem.memfdCreate('soak', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  check(sys.file.ftruncate(fd.fd, bytes), 'ftruncate');
  if (sealed) check(sys.mem.addSeals(fd.fd, F_SEAL_SHRINK), 'fcntl');
  return fd;
}

function openPath(sys: Sys, path: string, flags: number): Fd {
  return new Fd(sys.fd, check(sys.file.openat(AT_FDCWD, Buffer.from(`${path}\0`), flags | O_CLOEXEC, 0), 'openat'));
}
