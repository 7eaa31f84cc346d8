/** The VMM's window: addresses in this process where mapped blobs appear. Nobody checks for overlaps here. */
import {
  type Address,
  check,
  EFAULT,
  type Fd,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
  type SysMem,
} from '@oriel/sys';
import type { ShmemRequest } from '@oriel/vhost-user';

/** Guest physical address of the window: above all memory, as the BAR of a PCI device. */
export const WINDOW_GPA = 0x80_0000_0000;

const EMPTY = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/** One window, empty at first. */
export class GuestWindow implements Disposable {
  readonly size: number;
  readonly userAddr: Address;
  /** Requests that were carried out. */
  maps = 0;
  unmaps = 0;
  readonly #mem: SysMem;

  /** @throws SysError ENOMEM */
  constructor(mem: SysMem, size: number) {
    this.#mem = mem;
    this.size = size;
    this.userAddr = check(mem.mmap(0, size, PROT_NONE, EMPTY, -1, 0), 'mmap');
  }

  /** SHMEM_MAP. @returns 0 or a negative errno */
  map({ shmOffset, fdOffset, len }: ShmemRequest, fd: Fd): number {
    const flags = MAP_SHARED | MAP_FIXED;
    const result = this.#mem.mmap(this.userAddr + shmOffset, len, PROT_READ | PROT_WRITE, flags, fd.fd, fdOffset);
    fd.close();
    this.maps++;
    return Math.min(result, 0);
  }

  /** SHMEM_UNMAP. @returns 0 or a negative errno */
  unmap({ shmOffset, len }: ShmemRequest): number {
    const result = this.#mem.mmap(this.userAddr + shmOffset, len, PROT_NONE, EMPTY | MAP_FIXED, -1, 0);
    this.unmaps++;
    return Math.min(result, 0);
  }

  /** Copies bytes out as the guest sees them. @returns bytes copied, or a negative errno */
  read(shmOffset: number, to: Address, len: number): number {
    return this.#inside(shmOffset, len) ? this.#mem.copyChecked(to, this.userAddr + shmOffset, len) : -EFAULT;
  }

  /** Copies bytes in; as `read`. */
  write(shmOffset: number, from: Address, len: number): number {
    return this.#inside(shmOffset, len) ? this.#mem.copyChecked(this.userAddr + shmOffset, from, len) : -EFAULT;
  }

  [Symbol.dispose](): void {
    check(this.#mem.munmap(this.userAddr, this.size), 'munmap');
  }

  #inside(shmOffset: number, len: number): boolean {
    return shmOffset >= 0 && shmOffset + len <= this.size;
  }
}
