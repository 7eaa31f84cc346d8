/** What a descriptor is that a host program sent. */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  F_GETFL,
  F_SEAL_FUTURE_WRITE,
  F_SEAL_SHRINK,
  F_SEAL_WRITE,
  O_ACCMODE,
  O_RDWR,
  O_WRONLY,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  STATX_BASIC_STATS,
  Statx,
  type Sys,
} from '@oriel/sys';
import { fileSystemOf } from './copy-file.ts';

/**
 * - `event`: an eventfd
 * - `socket`
 * - `shared`: memory that a guest can map as it is: it cannot shrink, can be written, and is whole pages
 * - `file`: other memory or a file, whose content can be copied
 * - `pipe`: the end of a pipe that is written to
 * - `other`: nothing that a guest could use
 */
export type ReceivedKind = 'event' | 'socket' | 'shared' | 'file' | 'pipe' | 'other';

const EMPTY_PATH = new Uint8Array(1);
const EVENTFD = 'anon_inode:[eventfd]';
/** linux/magic.h */
const DMA_BUF_MAGIC = 0x444d4142;

const stat = new Uint8Array(Statx.byteLength);
const statView = new DataView(stat.buffer);
const link = new Uint8Array(EVENTFD.length + 1);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A descriptor, looked at. */
export interface Received {
  readonly kind: ReceivedKind;
  /** Bytes of memory or a file; else 0. */
  readonly size: number;
}

export function lookAt(sys: Sys, fd: number): Received {
  if (isEventfd(sys, fd)) return { kind: 'event', size: 0 };
  if (sys.file.statx(fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, stat) < 0) return { kind: 'other', size: 0 };
  const type = Statx.stxMode.get(statView, 0) & S_IFMT;
  const size = Statx.stxSize.get(statView, 0);
  const flags = sys.fd.fcntl(fd, F_GETFL, 0);
  const access = flags & O_ACCMODE;
  if (flags < 0) return { kind: 'other', size: 0 };
  if (type === S_IFSOCK) return { kind: 'socket', size: 0 };
  if (type === S_IFIFO) return { kind: access === O_WRONLY ? 'pipe' : 'other', size: 0 };
  if (fileSystemOf(sys, fd) === DMA_BUF_MAGIC) return { kind: access === O_RDWR ? 'shared' : 'other', size };
  if (type !== S_IFREG || access === O_WRONLY) return { kind: 'other', size: 0 };
  return { kind: access === O_RDWR && isSafe(sys, fd, size) ? 'shared' : 'file', size };
}

/** Can be mapped as it is. Front-ends refuse what is sealed against writing. */
function isSafe(sys: Sys, fd: number, size: number): boolean {
  const seals = sys.mem.getSeals(fd);
  if (seals < 0 || (seals & F_SEAL_SHRINK) === 0 || (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return false;
  return size > 0 && size % sys.mem.pageSize === 0;
}

function isEventfd(sys: Sys, fd: number): boolean {
  const length = sys.file.readlinkat(AT_FDCWD, encoder.encode(`/proc/self/fd/${fd}\0`), link, link.length);
  return length === EVENTFD.length && decoder.decode(link.subarray(0, length)) === EVENTFD;
}
