/** A shared memory region as a device sees it, whichever transport and front-end stand behind. */
import type { RegionLimits } from './limits.ts';

/** What a device asks to be mapped, bytes. */
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
  /**
   * Called just before the request is sent (it may have waited for its turn): a non-zero -errno cancels it. The place to
   * check the file's size again. May run more than once, since the rings can stop while it runs.
   */
  readonly before?: () => number;
}

/**
 * One mapping in the ledger: 'mapping' from the request to the answer, 'live', then 'unmapping' from the request to the
 * answer. It occupies its range in all three states; only a 'mapping' entry that waits for its turn can lie over others,
 * whose unmapping was asked for before, or over the equal one that it will replace.
 */
export interface LedgerEntry {
  readonly shmOffset: number;
  readonly len: number;
  readonly fdOffset: number;
  readonly writable: boolean;
  readonly owner: object;
  readonly label: string;
  readonly state: 'mapping' | 'live' | 'unmapping';
}

/** Figures of a region. */
export interface RegionStats {
  /** Mappings that the front-end holds: confirmed, and not confirmed gone. */
  readonly mapped: number;
  readonly mappedBytes: number;
  /** Mappings made and removed since the start. */
  readonly maps: number;
  readonly unmaps: number;
  /** Requests that the ledger, `before` or the front-end refused; a cancelled request is not refused. */
  readonly refused: number;
}

/** 0 or a negative errno. */
export type Done = (error: number) => void;

/** A region as a device uses it. */
export interface ShmRegion {
  readonly shmid: number;
  /** Bytes. */
  readonly size: number;
  readonly limits: RegionLimits;
  /**
   * Maps; `done` gets 0 or a negative errno (-EINVAL range or alignment, -EBADF no descriptor, -EEXIST overlap, -ENOSPC
   * budget, -EIO refused by the front-end, -ECANCELED stopped or unmapped meanwhile, or what `before` said). A refused
   * request leaves no trace.
   */
  map(request: MapRequest, done: Done): void;
  /**
   * Unmaps every mapping that lies wholly inside [shmOffset, shmOffset+len). A mapping whose request has not been sent is
   * cancelled; `done` comes when nothing of the others is left. Nothing there: done(0) at once. -EINVAL: not a range of
   * whole pages in the region. -EIO: the front-end did not know a mapping, which the ledger has dropped all the same.
   */
  unmap(shmOffset: number, len: number, done: Done): void;
  /** The same for all mappings of one owner. */
  unmapOwner(owner: object, done: Done): void;
  unmapAll(done: Done): void;
  /**
   * Takes up a mapping that the front-end holds since a process or connection before: nothing is sent.
   * @param request - `before` is not asked
   * @returns 0, or what `map` would refuse it with
   */
  adopt(request: MapRequest): number;
  /**
   * The front-end may hold a mapping that it was asked for by a process before, or may not: it is unmapped before anything
   * else is sent, and a refusal is no harm. Not where a refused request ends the VM and another one replaces it anyway.
   */
  unmapUncertain(mapping: Pick<MapRequest, 'fdOffset' | 'shmOffset' | 'len' | 'writable'>): void;
  /** Mappings wholly inside a range, in order of shmOffset. The entries are the ledger's own: their state moves on. */
  entries(shmOffset?: number, len?: number): readonly LedgerEntry[];
  readonly stats: RegionStats;
}
