/** The bytes of a file in a memfd, for a file system that keeps its files in memory: read and written here, or mapped by a guest. */
import {
  check,
  EFBIG,
  EINVAL,
  EOPNOTSUPP,
  F_SEAL_SEAL,
  F_SEAL_SHRINK,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  type Sys,
  SysError,
} from '@oriel/sys';
import type { IoVector } from '../io-vector.ts';

/** What a guest maps at once: a memfd that ends with a whole one can be mapped to its end. */
const RANGE = 2 << 20;
const PAGE = 4096;
const LIMIT = 2 ** 30;
const HOLE = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

/**
 * Content of a regular file. The memfd behind it is a multiple of 2 MiB long, sparse, never empty, and cannot shrink: a front-end
 * that has mapped it is safe from truncations, and no last page is partial. Bytes behind `size` are zero, except what a guest
 * stored in the last page.
 */
export class MemfdFile implements Disposable {
  readonly #sys: Pick<Sys, 'mem' | 'file'>;
  readonly #fd: Fd;
  readonly #limit: number;
  #memory: Mapping;
  #size = 0;

  /**
   * @param bytes - the content at first, copied
   * @param limit - bytes that the file may grow to, default 1 GiB
   * @throws SysError EMFILE, ENOMEM
   * @throws RangeError when `bytes` are more than `limit`
   */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, bytes: Uint8Array = new Uint8Array(0), limit: number = LIMIT) {
    if (bytes.length > limit) throw new RangeError(`${bytes.length} bytes in a file of at most ${limit}`);
    this.#sys = sys;
    this.#limit = limit;
    const { mem } = sys;
    this.#fd = new Fd(sys.fd, check(mem.memfdCreate('oriel-file', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    try {
      check(mem.addSeals(this.#fd.fd, F_SEAL_SHRINK | F_SEAL_SEAL), 'fcntl');
      this.#memory = this.#extend(bytes.length);
    } catch (error) {
      this.#fd.close();
      throw error;
    }
    this.#memory.u8.set(bytes);
    this.#size = bytes.length;
  }

  /** Bytes. */
  get size(): number {
    return this.#size;
  }

  /** The content as it is now: a view, until the next call that changes the size. */
  get bytes(): Uint8Array {
    return this.#memory.u8.subarray(0, this.#size);
  }

  /** Answers a READ. @returns bytes, or -EFAULT */
  read(offset: number, io: IoVector): number {
    const len = Math.min(io.len, Math.max(0, this.#size - offset));
    return len === 0 ? 0 : io.write(0, this.#memory.u8, offset, len);
  }

  /** Answers a WRITE; the file grows where need be. @returns bytes, -EFBIG, -ENOMEM, or -EFAULT */
  write(offset: number, io: IoVector): number {
    if (io.len === 0) return 0;
    const error = offset + io.len > this.#size ? this.resize(offset + io.len) : 0;
    return error < 0 ? error : io.read(0, this.#memory.u8, offset, io.len);
  }

  /** Cuts or grows; what is new is zero. @returns 0, -EFBIG or -ENOMEM; the size is as before then */
  resize(size: number): number {
    if (size > this.#limit) return -EFBIG;
    if (size > this.#memory.len) {
      try {
        const memory = this.#extend(size);
        this.#memory[Symbol.dispose]();
        this.#memory = memory;
      } catch (error) {
        return error instanceof SysError ? -error.errno : -EFBIG;
      }
    }
    const error = size < this.#size ? this.#clear(size, this.#size) : this.#clear(this.#size, lastPageEnd(this.#size));
    if (error === 0) this.#size = size;
    return error;
  }

  /** Answers a FALLOCATE: mode 0, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE. @returns 0 or a negative errno */
  fallocate(offset: number, len: number, mode: number): number {
    const keeps = (mode & FALLOC_FL_KEEP_SIZE) !== 0;
    const what = mode & ~FALLOC_FL_KEEP_SIZE;
    if (what !== 0 && what !== FALLOC_FL_PUNCH_HOLE && what !== FALLOC_FL_ZERO_RANGE) return -EOPNOTSUPP;
    if (what === FALLOC_FL_PUNCH_HOLE && !keeps) return -EINVAL;
    const end = offset + len;
    const error = !keeps && end > this.#size ? this.resize(end) : 0;
    return error < 0 || what === 0 ? error : this.#clear(offset, Math.min(end, this.#size));
  }

  /** A descriptor of the memfd for a mapping, which the caller owns, or a negative errno. */
  open(): number {
    try {
      return this.#fd.dup().take();
    } catch (error) {
      return error instanceof SysError ? -error.errno : -EINVAL;
    }
  }

  /** The memory goes when nobody has it mapped any more. */
  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
    this.#fd.close();
  }

  /** A mapping of the memfd, which is made to hold `size` bytes. @throws SysError */
  #extend(size: number): Mapping {
    const len = Math.max(1, Math.ceil(size / RANGE)) * RANGE;
    check(this.#sys.file.ftruncate(this.#fd.fd, len), 'ftruncate');
    return Mapping.shared(this.#sys.mem, this.#fd.fd, len, 0, PROT_READ | PROT_WRITE);
  }

  /** Makes zeros of [from, to), and gives their pages back. */
  #clear(from: number, to: number): number {
    return from < to ? this.#sys.file.fallocate(this.#fd.fd, HOLE, from, to - from) : 0;
  }
}

/** Where the page of the last byte ends: a guest that has it mapped may have stored behind the size. */
function lastPageEnd(size: number): number {
  return Math.ceil(size / PAGE) * PAGE;
}
