/**
 * Tail mode `copy`: a range served from a private memfd instead of the file. What the guest stored in it is found by
 * comparing with a shadow taken at the last load, page by page, and written back to the file.
 */
import {
  check,
  F_SEAL_GROW,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';

export class RangeCopy implements Disposable {
  readonly #sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly #memory: Mapping;
  readonly #shadow: Uint8Array;
  readonly #foffset: number;
  /** Bytes that came from the file: behind them it ended when it was read last. */
  #end = 0;
  /** Handed to the front-end. */
  readonly memfd: Fd;

  /** @throws SysError when memory is short */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, foffset: number, len: number) {
    this.#sys = sys;
    this.#foffset = foffset;
    this.memfd = new Fd(
      sys.fd,
      check(sys.mem.memfdCreate('oriel-dax-copy', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'),
    );
    try {
      check(sys.file.ftruncate(this.memfd.fd, len), 'ftruncate');
      check(sys.mem.addSeals(this.memfd.fd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 'fcntl');
      this.#memory = Mapping.shared(sys.mem, this.memfd.fd, len, 0, PROT_READ | PROT_WRITE);
    } catch (error) {
      this.memfd.close();
      throw error;
    }
    this.#shadow = new Uint8Array(len);
  }

  /** Reads the range from the file; bytes past its end become zero. @returns 0 or a negative errno */
  load(file: number): number {
    return this.#read(file, 0);
  }

  /** Reads what the file has gained at its end since; what the guest stored before it stays. @returns 0 or a negative errno */
  extend(file: number): number {
    return this.#end < this.#memory.len ? this.#read(file, this.#end) : 0;
  }

  /** Writes pages that the guest changed to the file, up to its end. @returns 0 or a negative errno */
  writeBack(file: number, size: number): number {
    const page = this.#sys.mem.pageSize;
    const { addr, len, u8 } = this.#memory;
    const end = Math.min(len, size - this.#foffset);
    for (let at = 0; at < end; at += page) {
      const stop = Math.min(at + page, end);
      const now = Buffer.from(u8.buffer, u8.byteOffset + at, stop - at);
      if (now.equals(this.#shadow.subarray(at, stop))) continue;
      const wrote = this.#sys.fd.pwrite(file, addr + at, stop - at, this.#foffset + at);
      if (wrote < 0) return wrote;
      this.#shadow.set(now, at);
    }
    return 0;
  }

  #read(file: number, from: number): number {
    const { addr, len, u8 } = this.#memory;
    let done = from;
    while (done < len) {
      const got = this.#sys.fd.pread(file, addr + done, len - done, this.#foffset + done);
      if (got < 0) return got;
      if (got === 0) break;
      done += got;
    }
    if (from > 0 && done === from) return 0; // nothing was gained, and nothing has to be cleared
    u8.fill(0, done);
    this.#shadow.set(u8.subarray(from), from);
    this.#end = done;
    return 0;
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
    this.memfd.close();
  }
}
