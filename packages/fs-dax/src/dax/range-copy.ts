/**
 * Tail mode `copy`: a range served from a private memfd instead of the file. The guest stores into it while the file changes
 * as well, so both ways go byte by byte: a shadow holds what the file and the copy had in common when they last met, what
 * differs from it in the copy goes to the file, and what differs from it in the file comes into the copy.
 */
import {
  check,
  EIO,
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

const CHUNK = 64 * 1024;
/** Used within one call only: what was read from the file, or a page of the copy, which the guest goes on changing. */
const scratch = Buffer.alloc(CHUNK);
/** Separate writes to one page; a page with more changes than that is written from the last of them on as a whole. */
const MOST_WRITES = 64;

export class RangeCopy implements Disposable {
  readonly #sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly #memory: Mapping;
  readonly #copy: Buffer;
  readonly #shadow: Buffer;
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
    const { u8 } = this.#memory;
    this.#copy = Buffer.from(u8.buffer, u8.byteOffset, len);
    this.#shadow = Buffer.alloc(len);
  }

  /** Takes over what changed in the file since it was read last; bytes past its end are zero. @returns 0 or a negative errno */
  load(file: number): number {
    return this.#read(file, 0);
  }

  /** As `load`, of what the file has gained at its end only. */
  extend(file: number): number {
    return this.#end < this.#copy.length ? this.#read(file, this.#end - (this.#end % CHUNK)) : 0;
  }

  /** Writes bytes that the guest changed to the file, up to its end. @returns 0 or a negative errno: the rest is still due */
  writeBack(file: number, size: number): number {
    const page = this.#sys.mem.pageSize;
    const end = Math.min(this.#copy.length, size - this.#foffset);
    for (let at = 0; at < end; at += page) {
      const stop = Math.min(at + page, end);
      if (this.#copy.compare(this.#shadow, at, stop, at, stop) === 0) continue;
      this.#copy.copy(scratch, 0, at, stop);
      const result = this.#writePage(file, at, stop - at);
      if (result < 0) return result;
    }
    return 0;
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
    this.memfd.close();
  }

  /** Writes what differs in a page of which `scratch` holds the guest's bytes. */
  #writePage(file: number, at: number, len: number): number {
    const shadow = this.#shadow;
    for (let from = 0, writes = 1; from < len; from++) {
      if (scratch[from] === shadow[at + from]) continue;
      let to = from + 1;
      if (writes++ === MOST_WRITES) to = len;
      while (to < len && scratch[to] !== shadow[at + to]) to++;
      const result = this.#write(file, at, from, to);
      if (result < 0) return result;
      from = to;
    }
    return 0;
  }

  #write(file: number, at: number, from: number, to: number): number {
    for (let done = from; done < to; ) {
      const wrote = this.#sys.fd.pwrite(file, scratch.subarray(done, to), to - done, this.#foffset + at + done);
      if (wrote <= 0) return wrote < 0 ? wrote : -EIO;
      scratch.copy(this.#shadow, at + done, done, done + wrote);
      done += wrote;
    }
    return 0;
  }

  #read(file: number, from: number): number {
    const len = this.#copy.length;
    let end = from;
    for (let at = from; at < len; at += CHUNK) {
      const part = Math.min(CHUNK, len - at);
      const got = end === at ? this.#fill(file, at, part) : 0;
      if (got < 0) return got;
      end += got;
      this.#take(at, got, part);
    }
    this.#end = end;
    return 0;
  }

  /** Reads a chunk of the file into `scratch`. @returns bytes, fewer than `len` only at the file's end; or a negative errno */
  #fill(file: number, at: number, len: number): number {
    for (let done = 0; ; ) {
      const got = this.#sys.fd.pread(file, scratch.subarray(done, len), len - done, this.#foffset + at + done);
      if (got < 0) return got;
      done += got;
      if (got === 0 || done === len) return done;
    }
  }

  /** Takes a chunk over from `scratch`, which holds `got` bytes of the file. */
  #take(at: number, got: number, len: number): void {
    scratch.fill(0, got, len);
    // Behind the old end the guest had no business: its bytes there must not turn up in a file that grows.
    const known = Math.min(Math.max(this.#end - at, 0), len);
    if (scratch.compare(this.#shadow, at, at + known, 0, known) !== 0) this.#merge(at, known);
    if (this.#copy.compare(scratch, known, len, at + known, at + len) !== 0) {
      scratch.copy(this.#copy, at + known, known, len);
    }
    scratch.copy(this.#shadow, at, 0, len);
  }

  /** Takes changed bytes of the file over, one by one: the guest may be storing right beside them. */
  #merge(at: number, len: number): void {
    const copy = this.#copy;
    const shadow = this.#shadow;
    for (let index = 0; index < len; index++) {
      const byte = scratch[index]!;
      if (byte !== shadow[at + index]) copy[at + index] = byte;
    }
  }
}
