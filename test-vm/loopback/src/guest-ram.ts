/** The guest's memory: a memfd shared with the back-end, as QEMU's `memory-backend-memfd,share=on` makes it. */
import { RangeAllocator } from '@oriel/shm-region';
import {
  type Address,
  check,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';
import { LoopbackError } from './errors.ts';

/** Settings of a `GuestRam`. */
export interface GuestRamOptions {
  /** Bytes, a multiple of 4096. */
  readonly size: number;
  /** 'sealed': the file can never shrink; 'unsealed': it may be truncated, which a back-end has to survive. */
  readonly file: 'sealed' | 'unsealed';
  /** Guest physical address of its first byte; default RAM_GPA. */
  readonly gpa?: number;
}

/** Where guest memory begins: not at 0, so that an offset is never mistaken for an address. */
export const RAM_GPA = 0x4000_0000;

/** Buffers begin at multiples of a cache line. */
const GRAIN = 64;

/** One region of guest memory, with an allocator for rings and buffers. */
export class GuestRam implements Disposable {
  readonly gpa: number;
  readonly size: number;
  /** The memory, as the guest sees it. */
  readonly u8: Uint8Array;
  readonly file: Fd;
  readonly #sys: Pick<Sys, 'file'>;
  readonly #mapping: Mapping;
  readonly #allocator: RangeAllocator;

  /** @throws SysError when there is no memory for it */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, options: GuestRamOptions) {
    const { size, file } = options;
    this.gpa = options.gpa ?? RAM_GPA;
    this.size = size;
    this.#sys = sys;
    this.#allocator = new RangeAllocator(size, GRAIN);
    this.file = new Fd(
      sys.fd,
      check(sys.mem.memfdCreate('oriel-loopback-ram', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'),
    );
    try {
      this.truncate(size);
      if (file === 'sealed') check(sys.mem.addSeals(this.file.fd, F_SEAL_SHRINK | F_SEAL_GROW), 'fcntl');
      this.#mapping = Mapping.shared(sys.mem, this.file.fd, size, 0, PROT_READ | PROT_WRITE);
    } catch (error) {
      this.file.close();
      throw error;
    }
    this.u8 = this.#mapping.u8;
  }

  /** Where the region lies in this process: what a front-end calls the user address. */
  get userAddr(): Address {
    return this.#mapping.addr;
  }

  /** The user address of a guest physical address. */
  userOf(gpa: number): Address {
    return gpa - this.gpa + this.userAddr;
  }

  /** True for an address in this memory. */
  holds(gpa: number): boolean {
    return gpa >= this.gpa && gpa < this.gpa + this.size;
  }

  /** Bytes at a guest physical address: a view, not a copy. @throws LoopbackError ERR_LOOPBACK_RANGE */
  at(gpa: number, len: number): Uint8Array {
    const offset = gpa - this.gpa;
    if (!(offset >= 0 && len >= 0 && offset + len <= this.size)) {
      throw new LoopbackError(
        'ERR_LOOPBACK_RANGE',
        `gpa ${gpa}, ${len} bytes: not in ${this.size} bytes of guest memory`,
      );
    }
    return this.u8.subarray(offset, offset + len);
  }

  /**
   * Takes memory for a ring or a buffer.
   * @param align - bytes, a multiple of 64
   * @returns its guest physical address
   * @throws LoopbackError ERR_LOOPBACK_RANGE when there is no room
   */
  allocate(len: number, align = GRAIN): number {
    const offset = this.#allocator.allocate(rounded(len), align);
    if (offset < 0) {
      const free = this.#allocator.largestHole;
      throw new LoopbackError(
        'ERR_LOOPBACK_RANGE',
        `no room for ${len} bytes of guest memory, the largest hole has ${free}`,
      );
    }
    return this.gpa + offset;
  }

  /** Gives back what `allocate` gave for `len` bytes. */
  release(gpa: number, len: number): void {
    this.#allocator.release(gpa - this.gpa, rounded(len));
  }

  /** Changes the file's length, as only a hostile front-end would. @throws SysError EPERM when sealed */
  truncate(len: number): void {
    check(this.#sys.file.ftruncate(this.file.fd, len), 'ftruncate');
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
    this.file.close();
  }
}

function rounded(len: number): number {
  return Math.ceil(Math.max(len, 1) / GRAIN) * GRAIN;
}
