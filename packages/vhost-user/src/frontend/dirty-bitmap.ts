/** The log of dirty pages that a back-end writes, and its reader. */
import {
  check,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';
import { VHOST_LOG_PAGE } from '../layout.ts';

const BITS = 32;
/** Log sizes are whole u64, as QEMU's are. */
const UNIT = 8;

/**
 * One bit for each 4096 bytes of guest memory from GPA 0, in a sealed memfd: byte page/8, bit page%8. The back-end sets
 * bits at any time; it can set wrong ones, or none, and nothing else.
 */
export class DirtyBitmap implements Disposable {
  /** Bytes of the log. */
  readonly size: number;
  readonly #fd: Fd;
  readonly #mapping: Mapping;
  readonly #words: Uint32Array;

  /**
   * @param end - first GPA behind guest memory
   * @throws SysError ENOMEM, EMFILE
   */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, end: number) {
    this.size = Math.ceil(end / (VHOST_LOG_PAGE * 8 * UNIT)) * UNIT;
    this.#fd = new Fd(sys.fd, check(sys.mem.memfdCreate('dirty-log', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    try {
      check(sys.file.ftruncate(this.#fd.fd, this.size), 'ftruncate');
      check(sys.mem.addSeals(this.#fd.fd, F_SEAL_SHRINK), 'fcntl');
      this.#mapping = Mapping.shared(sys.mem, this.#fd.fd, this.size, 0, PROT_READ | PROT_WRITE);
    } catch (error) {
      this.#fd.close();
      throw error;
    }
    const { buffer, byteOffset } = this.#mapping.u8;
    this.#words = new Uint32Array(buffer, byteOffset, this.size / 4);
  }

  /** The memfd, for SET_LOG_BASE; it stays the bitmap's. */
  get fd(): number {
    return this.#fd.fd;
  }

  /**
   * Takes every bit that is set, and clears it: a page that is written again afterwards is seen by the next call.
   * @param page - called for each dirty page, by rising GPA
   * @returns how many pages
   */
  take(page: (gpa: number) => void): number {
    const words = this.#words;
    let count = 0;
    for (let index = 0; index < words.length; index++) {
      if (words[index] === 0) {
        continue;
      }
      const bits = Atomics.exchange(words, index, 0);
      for (let bit = 0; bit < BITS; bit++) {
        if ((bits & (1 << bit)) !== 0) {
          page((index * BITS + bit) * VHOST_LOG_PAGE);
          count++;
        }
      }
    }
    return count;
  }

  /** Unmaps and closes the log. A back-end that has it keeps its own mapping. */
  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
    this.#fd.close();
  }
}
