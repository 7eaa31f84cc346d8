/** What a front-end checks of a descriptor before it maps it: kind, size, access mode. */
import { isSafeUnsigned, rangeFits } from '@oriel/layout';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  EACCES,
  EBADF,
  ENODEV,
  ENXIO,
  escapeBytes,
  F_GETFL,
  O_ACCMODE,
  O_PATH,
  O_RDWR,
  O_WRONLY,
  S_IFMT,
  S_IFREG,
  SEEK_END,
  STATX_SIZE,
  STATX_TYPE,
  Statx,
  type Sys,
} from '@oriel/sys';
import type { WireMapping } from './transport.ts';

const EMPTY_PATH = new Uint8Array(1);
const LONGEST_PATH = 256;

/** Checks descriptors, with buffers of its own. */
export class WindowFile {
  readonly #sys: Pick<Sys, 'fd' | 'file'>;
  readonly #stat = new Uint8Array(Statx.byteLength);
  readonly #statView = new DataView(this.#stat.buffer);

  constructor(sys: Pick<Sys, 'fd' | 'file'>) {
    this.#sys = sys;
  }

  /**
   * @returns 0; -EBADF for a path descriptor; -EACCES when the access mode does not allow the mapping; -ENODEV for
   * anything but files and buffers (sockets, pipes, directories, devices); -ENXIO when the file ends before the mapping
   */
  check(fd: number, request: WireMapping): number {
    const flags = this.#sys.fd.fcntl(fd, F_GETFL, 0);
    if (flags < 0) {
      return flags;
    }
    if ((flags & O_PATH) !== 0) {
      return -EBADF;
    }
    const access = flags & O_ACCMODE;
    if (access === O_WRONLY || (request.writable && access !== O_RDWR)) {
      return -EACCES;
    }
    const size = this.#size(fd);
    if (size < 0) {
      return size;
    }
    return rangeFits(request.fdOffset, request.len, size) ? 0 : -ENXIO;
  }

  /** The file behind a descriptor as /proc names it, printable; for pictures and logs. */
  name(fd: number): string {
    const path = new TextEncoder().encode(`/proc/self/fd/${fd}\0`);
    const target = new Uint8Array(LONGEST_PATH);
    const len = this.#sys.file.readlinkat(AT_FDCWD, path, target, target.length);
    return len < 0 ? `fd ${fd}` : escapeBytes(target.subarray(0, len), LONGEST_PATH);
  }

  #size(fd: number): number {
    const { file } = this.#sys;
    const result = file.statx(fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, this.#stat);
    if (result < 0) {
      return result;
    }
    const kind = Statx.stxMode.get(this.#statView, 0) & S_IFMT;
    if (kind === S_IFREG) {
      return Statx.stxSize.get(this.#statView, 0);
    }
    if (kind !== 0) {
      return -ENODEV;
    }
    // A dma-buf is an anonymous inode without a type; only seeking tells its size. An eventfd has none and fails the range.
    const end = Number(file.lseek(fd, 0, SEEK_END));
    return isSafeUnsigned(end) ? end : -ENODEV;
  }
}
