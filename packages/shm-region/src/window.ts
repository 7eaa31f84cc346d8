/** The front-end's side: a piece of address space into which a back-end's files are mapped. */
import { isSafeUnsigned } from '@oriel/layout';
import {
  type Address,
  check,
  EBADF,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOSPC,
  type Fd,
  type Logger,
  type Sys,
  silentLogger,
} from '@oriel/sys';
import { checkSize, isPageRange, type Range } from './range.ts';
import { RangeTable } from './range-table.ts';
import type { WireMapping } from './transport.ts';
import {
  type DiscardMeans,
  type FaultVerdict,
  UNMAPPED_POLICIES,
  type UnmappedPolicy,
  type WindowFault,
} from './unmapped-policy.ts';
import { WindowCopies } from './window-copies.ts';
import { liveEnd, WindowFaults, type WindowRecord } from './window-faults.ts';
import { WindowFile } from './window-file.ts';
import { WindowMemory } from './window-memory.ts';

export interface WindowOptions {
  readonly shmid: number;
  /** Bytes; a multiple of the host's page size. */
  readonly size: number;
  /** What an access to an unmapped part meets; `fault` by default. */
  readonly unmapped?: UnmappedPolicy;
  /** How stores vanish under `discard`; `wiping` by default, `slots` for a VMM with KVM. */
  readonly discardMeans?: DiscardMeans;
  /** A MAP over a mapping: refused (the default), or an equal range replaced by the one mmap. */
  readonly overlap?: 'refuse' | 'replace';
  /** UNMAP names one mapping (the default), or a range with one or several whole ones in it. */
  readonly unmap?: 'exact' | 'range';
  /** Each mapping costs the process a memory area, of which Linux allows some 65000; 4096 by default. */
  readonly maxMappings?: number;
  /** Told of each access that no file answered, with the verdict. */
  readonly onFault?: (fault: WindowFault) => void;
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
  /** Bytes at its end that were found truncated, and are unmapped pages until the range is mapped again. */
  readonly lost: number;
}

const DEFAULT_MAX_MAPPINGS = 4096;

/**
 * The front-end's window: one reservation of address space. Map, replace and unmap are one mmap with MAP_FIXED over the
 * range: other threads and vCPUs see the old pages or the new ones, never a hole. Checks every request as a front-end must
 * (range, alignment, overlap, file kind and size, write access). Requests answer 0 or a negative errno and change nothing
 * when refused.
 */
export class Window implements Disposable {
  readonly shmid: number;
  readonly size: number;
  readonly unmapped: UnmappedPolicy;
  /** Where the window starts in this process; for a VMM that gives it to its guest. Its bytes can fault: see `read`. */
  readonly addr: Address;
  readonly #memory: WindowMemory;
  readonly #faults: WindowFaults;
  readonly #copies: WindowCopies;
  readonly #file: WindowFile;
  readonly #options: WindowOptions;
  readonly #maxMappings: number;
  readonly #log: Logger;
  readonly #entries = new RangeTable<WindowRecord>();
  #open = true;

  /** @throws ShmRegionError ERR_SHM_SIZE; ERR_SHM_RESERVE when there is no address space; RangeError for no policy */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, options: WindowOptions) {
    checkSize(`window ${options.shmid}`, options.size, sys.mem.pageSize);
    this.shmid = options.shmid;
    this.size = options.size;
    this.unmapped = options.unmapped ?? 'fault';
    if (!UNMAPPED_POLICIES.includes(this.unmapped)) {
      throw new RangeError(`unmapped: ${this.unmapped} is none of ${UNMAPPED_POLICIES.join(', ')}`);
    }
    this.#options = options;
    this.#file = new WindowFile(sys);
    this.#maxMappings = options.maxMappings ?? DEFAULT_MAX_MAPPINGS;
    this.#log = options.log ?? silentLogger;
    this.#memory = new WindowMemory(sys.mem, options.size, this.unmapped, options.discardMeans ?? 'wiping');
    this.addr = this.#memory.addr;
    const { onFault } = options;
    const parts = { memory: this.#memory, entries: this.#entries, policy: this.unmapped };
    this.#faults = new WindowFaults({ ...parts, onFault });
    this.#copies = new WindowCopies({ ...parts, faults: this.#faults });
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
    const replaced = this.#entries.exact(shmOffset, len);
    const mapped = this.#memory.mapFile(shmOffset, len, writable, owned.fd, fdOffset);
    if (mapped < 0) {
      // A hole could be given to somebody else. What was to be replaced is then lost.
      if (!this.#memory.intact(shmOffset, len)) {
        this.#memory.reserve(shmOffset, len);
        if (replaced !== null) {
          this.#entries.remove(replaced);
        }
      }
      return this.#refused('map', request, mapped);
    }
    if (replaced !== null) {
      this.#entries.remove(replaced);
    }
    this.#entries.insert({ shmOffset, len, fdOffset, writable, file: this.#file.name(owned.fd), lost: 0 });
    return 0;
  }

  /**
   * Unmaps exactly one mapping, or with `unmap: 'range'` all in the range.
   * @returns 0; -EINVAL (shmid, range), -ENOENT (no such mapping), or what mmap answered
   */
  unmap(request: WireMapping): number {
    const { shmid, shmOffset, len } = request;
    if (!this.#open || shmid !== this.shmid || !isPageRange(shmOffset, len, this.size, this.#memory.pageSize)) {
      return this.#refused('unmap', request, -EINVAL);
    }
    const going = this.#named(shmOffset, len);
    const error = going.length === 0 ? -ENOENT : this.#memory.reserve(shmOffset, len);
    if (error < 0) {
      return this.#refused('unmap', request, error);
    }
    for (const entry of going) {
      this.#entries.remove(entry);
    }
    return 0;
  }

  /** Reset: everything unmapped, and what was stored into unmapped memory forgotten. */
  clear(): void {
    if (this.#open) {
      check(this.#memory.reserve(0, this.size), 'mmap');
      this.#entries.clear();
    }
  }

  /** In order of shmOffset. */
  entries(): readonly WindowEntry[] {
    return [...this.#entries.items];
  }

  /** The unmapped ranges, in order of shmOffset. */
  gaps(): Range[] {
    const gaps: Range[] = [];
    let end = 0;
    for (const { shmOffset, len } of this.#entries.items) {
      if (shmOffset > end) {
        gaps.push({ shmOffset: end, len: shmOffset - end });
      }
      end = shmOffset + len;
    }
    if (end < this.size) {
      gaps.push({ shmOffset: end, len: this.size - end });
    }
    return gaps;
  }

  /** Forgets what was stored into unmapped memory (`private`, and `discard` by wiping). One system call a gap. */
  wipe(): void {
    if (!this.#open) {
      return;
    }
    for (const { shmOffset, len } of this.gaps()) {
      this.#memory.wipe(shmOffset, len);
    }
    for (const entry of this.#entries.items) {
      if (entry.lost > 0) {
        this.#memory.wipe(liveEnd(entry), entry.lost);
      }
    }
  }

  /**
   * What a VMM does about an access of its guest that no file answered: -EFAULT or a memory-fault exit of KVM_RUN, or an
   * MMIO exit at an address that lies in the window. Where a file was truncated its lost pages become unmapped ones, in
   * place. Tells `onFault`.
   * @param shmOffset - bytes from the start of the window; null where KVM does not say
   * @param write - a store; null where KVM does not say
   */
  guestFault(shmOffset: number | null, write: boolean | null): FaultVerdict {
    if (!this.#open || (shmOffset !== null && !(isSafeUnsigned(shmOffset) && shmOffset < this.size))) {
      return 'stop';
    }
    return shmOffset === null ? this.#faults.somewhere() : this.#faults.at('guest', shmOffset, write);
  }

  /**
   * Reads window bytes by a system call: what cannot be read is an errno, never a signal.
   * @returns bytes read, all of `to`; -EINVAL outside the window; -EFAULT where nothing is mapped or the file was truncated,
   * unless unmapped pages read as zeros (`to` may then be filled in part)
   */
  read(shmOffset: number, to: Uint8Array): number {
    return this.#open ? this.#copies.read(shmOffset, to) : -EBADF;
  }

  /** Writes window bytes by a system call; as `read`, and -EFAULT where the mapping is read-only. */
  write(shmOffset: number, from: Uint8Array): number {
    return this.#open ? this.#copies.write(shmOffset, from) : -EBADF;
  }

  /** Gives the address space back; harmless a second time. Every later request is refused. */
  [Symbol.dispose](): void {
    if (!this.#open) {
      return;
    }
    this.#open = false;
    this.#entries.clear();
    this.#memory[Symbol.dispose]();
  }

  #checkMap(request: WireMapping, fd: number): number {
    const { shmid, shmOffset, len, fdOffset } = request;
    const { pageSize } = this.#memory;
    if (!this.#open || shmid !== this.shmid || !isPageRange(shmOffset, len, this.size, pageSize)) {
      return -EINVAL;
    }
    if (!isPageRange(fdOffset, len, Number.MAX_SAFE_INTEGER, pageSize)) {
      return -EINVAL;
    }
    const replaces = this.#options.overlap === 'replace' && this.#entries.exact(shmOffset, len) !== null;
    if (!replaces && this.#entries.overlaps(shmOffset, len)) {
      return -EEXIST;
    }
    if (!replaces && this.#entries.size >= this.#maxMappings) {
      return -ENOSPC;
    }
    return this.#file.check(fd, request);
  }

  /** What an UNMAP means; nothing where it would cut a mapping. */
  #named(shmOffset: number, len: number): WindowRecord[] {
    if (this.#options.unmap !== 'range') {
      const entry = this.#entries.exact(shmOffset, len);
      return entry === null ? [] : [entry];
    }
    const end = shmOffset + len;
    const { items } = this.#entries;
    const found: WindowRecord[] = [];
    for (let i = this.#entries.indexFrom(shmOffset); i < items.length && items[i]!.shmOffset < end; i += 1) {
      found.push(items[i]!);
    }
    const cut = found.some((entry) => entry.shmOffset < shmOffset || entry.shmOffset + entry.len > end);
    return cut ? [] : found;
  }

  #refused(what: string, request: WireMapping, error: number): number {
    const { shmid, shmOffset, len, fdOffset, writable } = request;
    this.#log.warn(`window: ${what} refused`, { shmid, shmOffset, len, fdOffset, writable, error });
    return error;
  }
}
