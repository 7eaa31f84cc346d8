/** The front-end's side: a piece of address space into which a back-end's files are mapped. */
import { isSafeUnsigned, rangeFits } from '@oriel/layout';
import {
  type Address,
  check,
  EBADF,
  EEXIST,
  EFAULT,
  EINVAL,
  ENOENT,
  ENOSPC,
  type Fd,
  type Logger,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  Mapping,
  PROT_NONE,
  PROT_READ,
  PROT_WRITE,
  type Sys,
  silentLogger,
} from '@oriel/sys';
import { ShmRegionError } from './errors.ts';
import { checkSize, isPageRange } from './range.ts';
import { RangeTable } from './range-table.ts';
import type { WireMapping } from './transport.ts';
import { WindowFile } from './window-file.ts';

export interface WindowOptions {
  readonly shmid: number;
  /** Bytes; a multiple of the host's page size. */
  readonly size: number;
  /** Each mapping costs the process a memory area, of which Linux allows some 65000; 4096 by default. */
  readonly maxMappings?: number;
  /** Silent by default. */
  readonly log?: Logger;
}

/** One mapping of a window, bytes. `file` is its name as /proc tells it. */
export interface WindowEntry {
  readonly shmOffset: number;
  readonly len: number;
  readonly fdOffset: number;
  readonly writable: boolean;
  readonly file: string;
}

const DEFAULT_MAX_MAPPINGS = 4096;
const SCRATCH_BYTES = 65536;
const RESERVED = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/**
 * The front-end's window: one PROT_NONE reservation; map = mmap MAP_FIXED over the range, unmap = PROT_NONE again (never a
 * hole). Checks every request as a front-end must (range, alignment, overlap, file kind and size, write access). Requests
 * answer 0 or a negative errno and change nothing when refused.
 */
export class Window implements Disposable {
  readonly shmid: number;
  readonly size: number;
  /** Where the window starts in this process; for a VMM that gives it to its guest. Its bytes can fault: see `read`. */
  readonly addr: Address;
  readonly #sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly #file: WindowFile;
  readonly #maxMappings: number;
  readonly #log: Logger;
  readonly #entries = new RangeTable<WindowEntry>();
  readonly #scratch: Mapping;
  #open = true;

  /** @throws ShmRegionError ERR_SHM_SIZE; ERR_SHM_RESERVE when there is no address space */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, options: WindowOptions) {
    checkSize(`window ${options.shmid}`, options.size, sys.mem.pageSize);
    this.shmid = options.shmid;
    this.size = options.size;
    this.#sys = sys;
    this.#file = new WindowFile(sys);
    this.#maxMappings = options.maxMappings ?? DEFAULT_MAX_MAPPINGS;
    this.#log = options.log ?? silentLogger;
    let addr = 0;
    try {
      addr = check(sys.mem.mmap(0, options.size, PROT_NONE, RESERVED, -1, 0), 'mmap');
      this.#scratch = Mapping.anonymous(sys.mem, SCRATCH_BYTES);
      this.addr = addr;
    } catch (cause) {
      if (addr > 0) {
        sys.mem.munmap(addr, options.size);
      }
      throw new ShmRegionError('ERR_SHM_RESERVE', 'host', `no address space for ${options.size} bytes`, { cause });
    }
  }

  /**
   * Maps part of a file. `fd` is given away, also when the request is refused.
   * @returns 0; -EINVAL (shmid, range, alignment), -EEXIST (overlap), -ENOSPC (too many mappings), -EACCES, -EBADF,
   * -ENODEV, -ENXIO (the file: see `WindowFile.check`), or what mmap answered
   */
  map(request: WireMapping, fd: Fd): number {
    using owned = fd;
    const error = this.#checkMap(request, owned.fd);
    if (error !== 0) {
      return this.#refused('map', request, error);
    }
    const { shmOffset, len, fdOffset, writable } = request;
    const protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    const { mem } = this.#sys;
    const mapped = mem.mmap(this.addr + shmOffset, len, protection, MAP_SHARED | MAP_FIXED, owned.fd, fdOffset);
    if (mapped < 0) {
      // Linux may have removed the reservation before it failed: a hole could be given to somebody else.
      this.#reserve(shmOffset, len);
      return this.#refused('map', request, mapped);
    }
    this.#entries.insert({ shmOffset, len, fdOffset, writable, file: this.#file.name(owned.fd) });
    return 0;
  }

  /** Unmaps exactly one mapping. @returns 0; -EINVAL (shmid, range), -ENOENT (no such mapping), or what mmap answered */
  unmap(request: WireMapping): number {
    const { shmid, shmOffset, len } = request;
    if (!this.#open || shmid !== this.shmid || !isPageRange(shmOffset, len, this.size, this.#sys.mem.pageSize)) {
      return this.#refused('unmap', request, -EINVAL);
    }
    const entry = this.#entries.exact(shmOffset, len);
    const error = entry === null ? -ENOENT : this.#reserve(shmOffset, len);
    if (entry === null || error < 0) {
      return this.#refused('unmap', request, error);
    }
    this.#entries.remove(entry);
    return 0;
  }

  /** Reset: everything unmapped. */
  clear(): void {
    if (!this.#open || this.#entries.size === 0) {
      return;
    }
    check(this.#reserve(0, this.size), 'mmap');
    this.#entries.clear();
  }

  /** In order of shmOffset. */
  entries(): readonly WindowEntry[] {
    return [...this.#entries.items];
  }

  /**
   * Reads window bytes by a system call.
   * @returns bytes read, all of `to`; -EINVAL outside the window; -EFAULT where nothing is mapped or the file was truncated
   * (`to` may then be filled in part)
   */
  read(shmOffset: number, to: Uint8Array): number {
    return this.#copy(shmOffset, to.length, (at, count, done) => {
      const copied = this.#sys.mem.copyChecked(this.#scratch.addr, at, count);
      if (copied === count) {
        to.set(this.#scratch.u8.subarray(0, count), done);
      }
      return copied;
    });
  }

  /** Writes window bytes by a system call; as `read`, and -EFAULT where the mapping is read-only. */
  write(shmOffset: number, from: Uint8Array): number {
    return this.#copy(shmOffset, from.length, (at, count, done) => {
      this.#scratch.u8.set(from.subarray(done, done + count));
      return this.#sys.mem.copyChecked(at, this.#scratch.addr, count);
    });
  }

  /** Gives the address space back; harmless a second time. Every later request is refused. */
  [Symbol.dispose](): void {
    if (!this.#open) {
      return;
    }
    this.#open = false;
    this.#entries.clear();
    this.#scratch[Symbol.dispose]();
    check(this.#sys.mem.munmap(this.addr, this.size), 'munmap');
  }

  #checkMap(request: WireMapping, fd: number): number {
    const { shmid, shmOffset, len, fdOffset } = request;
    const { pageSize } = this.#sys.mem;
    if (!this.#open || shmid !== this.shmid || !isPageRange(shmOffset, len, this.size, pageSize)) {
      return -EINVAL;
    }
    if (!isPageRange(fdOffset, len, Number.MAX_SAFE_INTEGER, pageSize)) {
      return -EINVAL;
    }
    if (this.#entries.overlaps(shmOffset, len)) {
      return -EEXIST;
    }
    if (this.#entries.size >= this.#maxMappings) {
      return -ENOSPC;
    }
    return this.#file.check(fd, request);
  }

  #reserve(shmOffset: number, len: number): number {
    return Math.min(0, this.#sys.mem.mmap(this.addr + shmOffset, len, PROT_NONE, RESERVED | MAP_FIXED, -1, 0));
  }

  #copy(shmOffset: number, len: number, step: (at: Address, count: number, done: number) => number): number {
    if (!this.#open) {
      return -EBADF;
    }
    if (!isSafeUnsigned(shmOffset) || !rangeFits(shmOffset, len, this.size)) {
      return -EINVAL;
    }
    for (let done = 0; done < len; ) {
      const count = Math.min(this.#scratch.len, len - done);
      const copied = step(this.addr + shmOffset + done, count, done);
      if (copied < 0) {
        return copied;
      }
      if (copied < count) {
        return -EFAULT;
      }
      done += count;
    }
    return len;
  }

  #refused(what: string, request: WireMapping, error: number): number {
    const { shmid, shmOffset, len, fdOffset, writable } = request;
    this.#log.warn(`window: ${what} refused`, { shmid, shmOffset, len, fdOffset, writable, error });
    return error;
  }
}
