/** Files whose pages say where they are from, so that a wrong mapping shows. */
import {
  AT_FDCWD,
  check,
  F_SEAL_SHRINK,
  Fd,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  O_CLOEXEC,
  O_RDONLY,
  type Sys,
} from '@oriel/sys';

export const PAGE = 4096;
/** Pages of each file. */
export const FILE_PAGES = 12;
export const FILES = 3;
const STAMP_BYTES = 4;
const PAGE_BITS = 8;

/** One file, open for writing and once more for reading only. */
interface StampedFile {
  readonly fd: Fd;
  readonly readOnly: Fd;
}

/** Some memfds. */
export class StampedFiles implements Disposable {
  readonly #sys: Sys;
  readonly #files: StampedFile[] = [];

  constructor(sys: Sys) {
    this.#sys = sys;
    for (let index = 0; index < FILES; index++) {
      const fd = new Fd(sys.fd, check(sys.mem.memfdCreate('soak', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
      check(sys.file.ftruncate(fd.fd, FILE_PAGES * PAGE), 'ftruncate');
      check(sys.mem.addSeals(fd.fd, F_SEAL_SHRINK), 'fcntl');
      for (let page = 0; page < FILE_PAGES; page++) this.#write(fd.fd, page * PAGE, this.stamp(index, page));
      const path = Buffer.from(`/proc/self/fd/${fd.fd}\0`);
      const readOnly = new Fd(sys.fd, check(sys.file.openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0), 'openat'));
      this.#files.push({ fd, readOnly });
    }
  }

  fd(index: number): number {
    return this.#files[index]!.fd.fd;
  }

  readOnlyFd(index: number): number {
    return this.#files[index]!.readOnly.fd;
  }

  /** What stands at the start of a page. */
  stamp(index: number, page: number): number {
    return ((index + 1) << PAGE_BITS) | page;
  }

  /** The word in the middle of a page, which the guest may change. */
  word(index: number, page: number): number {
    const bytes = new Uint8Array(STAMP_BYTES);
    check(this.#sys.fd.pread(this.fd(index), bytes, STAMP_BYTES, page * PAGE + PAGE / 2), 'pread');
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  [Symbol.dispose](): void {
    for (const { fd, readOnly } of this.#files) {
      fd.close();
      readOnly.close();
    }
  }

  #write(fd: number, at: number, value: number): void {
    check(this.#sys.fd.pwrite(fd, Uint32Array.of(value), STAMP_BYTES, at), 'pwrite');
  }
}
