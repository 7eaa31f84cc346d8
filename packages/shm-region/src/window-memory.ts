/** The address space of a window: one reservation, of which parts are files. Every change is one mmap over a range. */
import {
  type Address,
  check,
  MADV_DONTNEED,
  MADV_NORMAL,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  Mapping,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
  type SysMem,
} from '@oriel/sys';
import { ShmRegionError } from './errors.ts';
import { type DiscardMeans, readsZeros, takesStores, type UnmappedPolicy } from './unmapped-policy.ts';

const SCRATCH_BYTES = 65536;
const RESERVED = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

export class WindowMemory implements Disposable {
  readonly addr: Address;
  readonly size: number;
  readonly pageSize: number;
  readonly #mem: SysMem;
  /** Protection of what is not mapped. */
  readonly #protection: number;
  readonly #scratch: Mapping;

  /** @throws ShmRegionError ERR_SHM_RESERVE when there is no address space */
  constructor(mem: SysMem, size: number, policy: UnmappedPolicy, means: DiscardMeans) {
    this.#mem = mem;
    this.size = size;
    this.pageSize = mem.pageSize;
    const read = readsZeros(policy) ? PROT_READ : PROT_NONE;
    this.#protection = takesStores(policy, means) ? PROT_READ | PROT_WRITE : read;
    let addr = 0;
    try {
      addr = check(mem.mmap(0, size, this.#protection, RESERVED, -1, 0), 'mmap');
      this.#scratch = Mapping.anonymous(mem, SCRATCH_BYTES);
      this.addr = addr;
    } catch (cause) {
      if (addr > 0) {
        mem.munmap(addr, size);
      }
      throw new ShmRegionError('ERR_SHM_RESERVE', 'host', `no address space for ${size} bytes`, { cause });
    }
  }

  /** Puts part of a file over a range. @returns 0 or a negative errno; see `intact` for what a failure leaves */
  mapFile(shmOffset: number, len: number, writable: boolean, fd: number, fdOffset: number): number {
    const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    return Math.min(0, this.#mem.mmap(this.addr + shmOffset, len, protection, MAP_SHARED | MAP_FIXED, fd, fdOffset));
  }

  /** Puts fresh unmapped pages over a range. @returns 0 or a negative errno */
  reserve(shmOffset: number, len: number): number {
    return Math.min(0, this.#mem.mmap(this.addr + shmOffset, len, this.#protection, RESERVED | MAP_FIXED, -1, 0));
  }

  /** False when a failed `mapFile` has left a hole: older kernels unmap before they fail. */
  intact(shmOffset: number, len: number): boolean {
    return this.#mem.madvise(this.addr + shmOffset, len, MADV_NORMAL) === 0;
  }

  /** Empties unmapped pages. */
  wipe(shmOffset: number, len: number): void {
    check(this.#mem.madvise(this.addr + shmOffset, len, MADV_DONTNEED), 'madvise');
  }

  /** True when a byte can be loaded: its page is mapped, and its file long enough. */
  readable(shmOffset: number): boolean {
    return this.#mem.copyChecked(this.#scratch.addr, this.addr + shmOffset, 1) === 1;
  }

  /** Copies out as much as one call can. @returns bytes; 0 when the first page faults */
  read(shmOffset: number, to: Uint8Array, at: number, len: number): number {
    const count = Math.min(len, this.#scratch.len);
    const copied = this.#mem.copyChecked(this.#scratch.addr, this.addr + shmOffset, count);
    if (copied > 0) {
      to.set(this.#scratch.u8.subarray(0, copied), at);
    }
    return Math.max(0, copied);
  }

  /** Copies in as much as one call can. @returns bytes; 0 when the first page faults */
  write(shmOffset: number, from: Uint8Array, at: number, len: number): number {
    const count = Math.min(len, this.#scratch.len);
    this.#scratch.u8.set(from.subarray(at, at + count));
    return Math.max(0, this.#mem.copyChecked(this.addr + shmOffset, this.#scratch.addr, count));
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
    check(this.#mem.munmap(this.addr, this.size), 'munmap');
  }
}
