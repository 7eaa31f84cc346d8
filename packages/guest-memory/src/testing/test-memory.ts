/** Guest RAM for tests: a memfd mapped here as the guest would see it, which can be announced to a `GuestMemory`. */
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
import type { GuestMemory } from '../guest-memory.ts';
import type { MemoryRegion, RegionDescription } from '../region.ts';

/** Settings of a `TestMemory`. */
export interface TestMemoryOptions {
  /** Bytes; default 1 MiB. */
  readonly size?: number;
  /** Guest physical address of the first byte; default 0x10_0000. */
  readonly gpa?: number;
  /** User address that a front-end would announce; default 0x7f00_0000_0000 + gpa. */
  readonly userAddr?: number;
  /** 'sealed' (default): cannot shrink, so the region is direct. 'unsealed': may be truncated, so it is guarded. */
  readonly file?: 'sealed' | 'unsealed';
}

/** One region of guest RAM, seen from the guest's side. */
export class TestMemory implements Disposable {
  readonly size: number;
  readonly gpa: number;
  readonly userAddr: number;
  /** The memory, as the guest sees it. Do not touch what `truncate` took away. */
  readonly u8: Uint8Array;
  /** The same memory, for layouts. */
  readonly view: DataView;
  readonly file: Fd;
  readonly #sys: Pick<Sys, 'file'>;
  readonly #mapping: Mapping;

  /** @throws SysError when there is no memory for it */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, options: TestMemoryOptions = {}) {
    this.size = options.size ?? 0x10_0000;
    this.gpa = options.gpa ?? 0x10_0000;
    this.userAddr = options.userAddr ?? 0x7f00_0000_0000 + this.gpa;
    this.#sys = sys;
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    this.file = new Fd(sys.fd, check(sys.mem.memfdCreate('oriel-test-ram', flags), 'memfd_create'));
    const fd = this.file.fd;
    try {
      this.truncate(this.size);
      if (options.file !== 'unsealed') check(sys.mem.addSeals(fd, F_SEAL_SHRINK), 'fcntl');
      this.#mapping = Mapping.shared(sys.mem, fd, this.size, 0, PROT_READ | PROT_WRITE);
    } catch (error) {
      this.file.close();
      throw error;
    }
    this.u8 = this.#mapping.u8;
    this.view = new DataView(this.u8.buffer, this.u8.byteOffset, this.u8.byteLength);
  }

  /** What a front-end would announce; each call makes a descriptor of its own, which the receiver owns. */
  describe(part: Partial<Omit<RegionDescription, 'fd'>> = {}): RegionDescription {
    const { gpa, size, userAddr } = this;
    return { gpa, size, userAddr, mmapOffset: 0, ...part, fd: this.file.dup() };
  }

  /** Announces this RAM to `memory`, as ADD_MEM_REG does. */
  addTo(memory: GuestMemory): MemoryRegion {
    return memory.add(this.describe());
  }

  /** The user address of a guest physical address of this RAM. */
  userOf(gpa: number): number {
    return gpa - this.gpa + this.userAddr;
  }

  /** Bytes at a guest physical address (a view, not a copy). */
  at(gpa: number, len: number): Uint8Array {
    const offset = gpa - this.gpa;
    if (offset < 0 || offset + len > this.size) throw new RangeError(`gpa ${gpa}, ${len} bytes: not in this RAM`);
    return this.u8.subarray(offset, offset + len);
  }

  /** Changes the file's length, as a hostile front-end may. @throws SysError (EPERM when sealed) */
  truncate(len: number): void {
    check(this.#sys.file.ftruncate(this.file.fd, len), 'ftruncate');
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
    this.file.close();
  }
}
