/** The file that is the guest's memory. */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  Fd,
  LOCK_EX,
  LOCK_NB,
  O_CLOEXEC,
  O_RDWR,
  S_IFMT,
  S_IFREG,
  STATX_SIZE,
  STATX_TYPE,
  Statx,
  type Sys,
  SysError,
} from '@oriel/sys';
import { PmemError } from './errors.ts';

/** Linux hotplugs persistent memory in pieces of this size, and aligns it so. */
export const PMEM_ALIGN = 2 << 20;

/** An open image, locked against a second device. */
export class PmemImage implements Disposable {
  readonly path: string;
  /** Bytes: those of the region, too. */
  readonly size: number;
  readonly #file: Fd;

  private constructor(path: string, size: number, file: Fd) {
    this.path = path;
    this.size = size;
    this.#file = file;
  }

  /**
   * Opens a regular file. Its size becomes the region's: a guest that writes beyond the end of a file would lose what it
   * wrote.
   * @throws PmemError ERR_PMEM_FILE, ERR_PMEM_SIZE
   */
  static open(sys: Sys, path: string): PmemImage {
    const name = new TextEncoder().encode(`${path}\0`);
    const opened = sys.file.openat(AT_FDCWD, name, O_RDWR | O_CLOEXEC, 0);
    if (opened < 0) throw fileError(path, 'open', opened);
    const file = new Fd(sys.fd, opened);
    try {
      const locked = sys.file.flock(opened, LOCK_EX | LOCK_NB);
      if (locked < 0) throw fileError(path, 'lock', locked);
      const size = regularSize(sys, path, opened);
      if (size === 0 || size % PMEM_ALIGN !== 0) {
        throw new PmemError(
          'ERR_PMEM_SIZE',
          `${path} has ${size} bytes, want a multiple of 2 MiB above 0: lengthen it with truncate(1)`,
        );
      }
      return new PmemImage(path, size, file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Lent. */
  get fd(): number {
    return this.#file.fd;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

function regularSize(sys: Sys, path: string, fd: number): number {
  const stat = new Uint8Array(Statx.byteLength);
  const done = sys.file.statx(fd, Uint8Array.of(0), AT_EMPTY_PATH, STATX_SIZE | STATX_TYPE, stat);
  if (done < 0) throw fileError(path, 'statx', done);
  const view = new DataView(stat.buffer);
  if ((Statx.stxMode.get(view, 0) & S_IFMT) !== S_IFREG) {
    throw new PmemError('ERR_PMEM_FILE', `${path} is no regular file`);
  }
  return Statx.stxSize.get(view, 0);
}

function fileError(path: string, call: string, result: number): PmemError {
  const cause = new SysError(-result, call);
  return new PmemError('ERR_PMEM_FILE', `${path}: ${cause.message}`, { cause });
}
