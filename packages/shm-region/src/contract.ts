/**
 * CONTRACT (lead): what shm-region offers. The helper turns each `declare` into a real export in files of their own and
 * deletes this file; names and meaning stay.
 */
import type { Fd, Logger, Sys } from '@oriel/sys';

/** What a region of this front-end bears. A device reads it and never asks which VMM is there. */
export interface RegionLimits {
  /** shmOffset, fdOffset and len are multiples of this, bytes. */
  readonly pageSize: number;
  /** Most live mappings that this process may hold in this region. */
  readonly maxMappings: number;
  /** A mapping must end at or before the file's last whole page. */
  readonly insideFile: boolean;
  /** The descriptor must be open for reading and writing, also for a read-only mapping. */
  readonly needsWritableFd: boolean;
  /** A mapping without the write flag is really read-only for the guest. */
  readonly honoursReadOnly: boolean;
  /** The front-end would grow an empty file. */
  readonly growsEmptyFile: boolean;
  /** What an overlapping MAP does at the front-end. The ledger refuses or replaces accordingly. */
  readonly overlap: 'refuse' | 'replace';
  /** UNMAP names exactly one mapping ('exact') or any range ('range'). */
  readonly unmap: 'exact' | 'range';
  /** Mappings in flight at the same time; 1 for QEMU. Further requests wait in order. */
  readonly maxInFlight: number;
}

/** How map and unmap requests reach the front-end. `vhost-user` offers one; `done` comes after the answer and the visibility fence. */
export interface MapTransport {
  /** True between start and stop of the rings: nothing may be sent otherwise. */
  readonly ready: boolean;
  map(request: WireMapping, fd: number, done: (error: number) => void): void;
  unmap(request: WireMapping, done: (error: number) => void): void;
}

export interface WireMapping {
  readonly shmid: number;
  readonly fdOffset: number;
  readonly shmOffset: number;
  readonly len: number;
  readonly writable: boolean;
}

export interface MapRequest {
  /** Lent until `done`. */
  readonly fd: number;
  readonly fdOffset: number;
  readonly shmOffset: number;
  readonly len: number;
  readonly writable: boolean;
  /** Whose mapping it is (an inode, a blob): for `unmapOwner` and for pictures of the window. */
  readonly owner: object;
  /** A label for logs and pictures. */
  readonly label: string;
  /** Called just before the request is sent (it may have waited for its turn): a non-zero -errno cancels it. The place to
   * check the file's size again. */
  readonly before?: () => number;
}

/** One live mapping in the ledger. */
export interface LedgerEntry {
  readonly shmOffset: number;
  readonly len: number;
  readonly fdOffset: number;
  readonly writable: boolean;
  readonly owner: object;
  readonly label: string;
  readonly state: 'mapping' | 'live' | 'unmapping';
}

/** A region as a device uses it. */
export interface ShmRegion {
  readonly shmid: number;
  /** Bytes. */
  readonly size: number;
  readonly limits: RegionLimits;
  /** Maps; `done` gets 0 or a negative errno (-EINVAL range or alignment, -EEXIST overlap, -ENOSPC budget, -EIO refused by
   * the front-end, -ECANCELED stopped meanwhile, or what `before` said). A refused request leaves no trace. */
  map(request: MapRequest, done: (error: number) => void): void;
  /** Unmaps every live mapping that lies wholly inside [shmOffset, shmOffset+len). Nothing there: done(0) at once. */
  unmap(shmOffset: number, len: number, done: (error: number) => void): void;
  unmapOwner(owner: object, done: (error: number) => void): void;
  unmapAll(done: (error: number) => void): void;
  /** Mappings inside a range, in order of shmOffset. */
  entries(shmOffset?: number, len?: number): readonly LedgerEntry[];
  readonly stats: { mapped: number; mappedBytes: number; maps: number; unmaps: number; refused: number };
}

/**
 * The back-end's region: ledger, budget, queue of requests in flight, over a transport.
 * Life: `setTransport` at connection; `suspend()` when the rings stop (waiting requests that were not sent get -ECANCELED;
 * the one that was sent stays 'mapping' until its answer comes); `forget()` when the front-end dropped all (reset where the
 * profile says so, disconnect): the ledger is emptied without messages.
 */
export declare class BackendRegion implements ShmRegion {
  constructor(options: { shmid: number; size: number; limits: RegionLimits; log?: Logger });
  readonly shmid: number;
  readonly size: number;
  readonly limits: RegionLimits;
  readonly stats: { mapped: number; mappedBytes: number; maps: number; unmaps: number; refused: number };
  setTransport(transport: MapTransport | null): void;
  map(request: MapRequest, done: (error: number) => void): void;
  unmap(shmOffset: number, len: number, done: (error: number) => void): void;
  unmapOwner(owner: object, done: (error: number) => void): void;
  unmapAll(done: (error: number) => void): void;
  entries(shmOffset?: number, len?: number): readonly LedgerEntry[];
  suspend(): void;
  resume(): void;
  forget(): void;
}

/** First-fit allocator of page-multiple ranges with coalescing; for back-ends that choose offsets and for drivers. */
export declare class RangeAllocator {
  constructor(size: number, pageSize: number);
  /** @returns an offset, or -1 */
  allocate(len: number, alignment?: number): number;
  release(offset: number, len: number): void;
  readonly free: number;
  readonly largestHole: number;
}

/**
 * The front-end's window: one PROT_NONE reservation; map = mmap MAP_FIXED over the range, unmap = PROT_NONE again (never a
 * hole). Checks every request as a front-end must (range, alignment, overlap, file size, write access).
 */
export declare class Window implements Disposable {
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, options: { shmid: number; size: number; maxMappings?: number; log?: Logger });
  readonly shmid: number;
  readonly size: number;
  readonly addr: number;
  /** `fd` is given away. @returns 0 or a negative errno */
  map(request: WireMapping, fd: Fd): number;
  unmap(request: WireMapping): number;
  /** Reset: everything unmapped. */
  clear(): void;
  entries(): readonly { shmOffset: number; len: number; fdOffset: number; writable: boolean; file: string }[];
  /** Reads window bytes by a system call: -EFAULT where nothing is mapped or the file was truncated. */
  read(shmOffset: number, to: Uint8Array): number;
  write(shmOffset: number, from: Uint8Array): number;
  [Symbol.dispose](): void;
}
