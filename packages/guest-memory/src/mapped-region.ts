/** A region, with its file and its mapping where it is needed: the one implementation of `MemoryRegion`. */
import { type Address, EFAULT, EINTR, type Fd, Mapping, PROT_READ, PROT_WRITE, type Sys } from '@oriel/sys';
import { GuestMemoryError } from './errors.ts';
import type { FileFacts } from './file-facts.ts';
import type { MemoryRegion, RegionDescription } from './region.ts';

const NO_U8 = new Uint8Array(0);
const NO_U16 = new Uint16Array(0);
const NO_U32 = new Uint32Array(0);

/** Bytes moved by one system call into a guarded region. */
const SCRATCH_BYTES = 65536;

/** Made, retired and disposed of by `GuestMemory` alone. */
export class MappedRegion implements MemoryRegion, Disposable {
  readonly gpa: number;
  readonly size: number;
  readonly userAddr: number;
  readonly mmapOffset: number;
  readonly sealed: boolean;
  readonly direct: boolean;
  readonly foreign: boolean;
  readonly dev: number;
  readonly ino: number;
  #live = true;
  #u8: Uint8Array = NO_U8;
  #u16: Uint16Array = NO_U16;
  #u32: Uint32Array = NO_U32;
  #addr: Address = 0;
  #mapping: Mapping | null = null;
  #scratch: Mapping | null = null;
  readonly #blockSize: number;
  readonly #file: Fd;
  readonly #sys: Pick<Sys, 'mem' | 'fd'>;

  /**
   * Owns `description.fd` when it returns.
   * @param needed - false for a foreign region: its descriptor is closed at once
   * @throws SysError when a direct region cannot be mapped
   */
  constructor(sys: Pick<Sys, 'mem' | 'fd'>, description: RegionDescription, facts: FileFacts, needed: boolean) {
    this.gpa = description.gpa;
    this.size = description.size;
    this.userAddr = description.userAddr;
    this.mmapOffset = description.mmapOffset;
    this.sealed = facts.sealed;
    this.direct = facts.sealed && needed;
    this.foreign = !needed;
    this.dev = facts.dev;
    this.ino = facts.ino;
    this.#blockSize = facts.blockSize;
    this.#file = description.fd;
    this.#sys = sys;
    if (this.direct) this.#view(this.#map());
    if (this.foreign) this[Symbol.dispose]();
  }

  get live(): boolean {
    return this.#live;
  }

  get fd(): number {
    return this.#file.fd;
  }

  get u8(): Uint8Array {
    return this.#u8;
  }

  get u16(): Uint16Array {
    return this.#u16;
  }

  get u32(): Uint32Array {
    return this.#u32;
  }

  get addr(): Address {
    if (!this.#live) {
      const why = this.foreign ? 'is foreign' : 'left the table';
      throw new GuestMemoryError('ERR_MEM_UNKNOWN', `the region at gpa ${this.gpa} ${why}`);
    }
    if (this.#mapping === null) this.#map();
    return this.#addr;
  }

  read(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    if (!this.#live) return -EFAULT;
    if (this.direct) {
      to.set(this.#u8.subarray(offset, offset + len), toOffset);
      return 0;
    }
    for (let done = 0; done < len; ) {
      const target = to.subarray(toOffset + done, toOffset + len);
      const n = this.#sys.fd.pread(this.fd, target, len - done, this.mmapOffset + offset + done);
      if (n > 0) done += n;
      else if (n !== -EINTR) return -EFAULT;
    }
    return 0;
  }

  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number {
    if (!this.#live) return -EFAULT;
    if (this.direct) {
      this.#u8.set(from.subarray(fromOffset, fromOffset + len), offset);
      return 0;
    }
    // Through the mapping, not by pwrite: that would lengthen a file that was truncated.
    try {
      const addr = this.addr;
      this.#scratch ??= Mapping.anonymous(this.#sys.mem, SCRATCH_BYTES);
      for (let done = 0; done < len; ) {
        const part = Math.min(len - done, SCRATCH_BYTES);
        this.#scratch.u8.set(from.subarray(fromOffset + done, fromOffset + done + part));
        if (this.#sys.mem.copyChecked(addr + offset + done, this.#scratch.addr, part) !== part) return -EFAULT;
        done += part;
      }
      return 0;
    } catch {
      return -EFAULT;
    }
  }

  /** Ends all access by this process's code; the mapping stays until `dispose`, for system calls under way. */
  retire(): void {
    this.#live = false;
    this.#u8 = NO_U8;
    this.#u16 = NO_U16;
    this.#u32 = NO_U32;
  }

  [Symbol.dispose](): void {
    this.retire();
    this.#mapping?.[Symbol.dispose]();
    this.#mapping = null;
    this.#scratch?.[Symbol.dispose]();
    this.#scratch = null;
    this.#file.close();
  }

  #view(mapping: Mapping): void {
    const start = this.mmapOffset % this.#blockSize;
    const { buffer } = mapping.u8;
    this.#u8 = new Uint8Array(buffer, start, this.size);
    this.#u16 = new Uint16Array(buffer, start, Math.floor(this.size / 2));
    this.#u32 = new Uint32Array(buffer, start, Math.floor(this.size / 4));
  }

  /** Maps from the block below the region's start: hugetlbfs takes whole huge pages only. */
  #map(): Mapping {
    const start = this.mmapOffset % this.#blockSize;
    const len = Math.ceil((start + this.size) / this.#blockSize) * this.#blockSize;
    const offset = this.mmapOffset - start;
    this.#mapping = Mapping.shared(this.#sys.mem, this.#file.fd, len, offset, PROT_READ | PROT_WRITE);
    this.#addr = this.#mapping.addr + start;
    return this.#mapping;
  }
}
