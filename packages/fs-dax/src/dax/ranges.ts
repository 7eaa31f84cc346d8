/** The window's 2 MiB slots: which range stands where, and the order of requests for one slot. */
import type { ShmRegion } from '@oriel/shm-region';
import { EBADF, type Logger } from '@oriel/sys';
import { DAX_RANGE } from '../layout.ts';
import type { FileFacts } from './file-facts.ts';
import type { DaxInode } from './inode.ts';
import type { RangeMapper } from './mapper.ts';
import { DaxRange } from './range.ts';

export class RangeTable {
  readonly #slots: (DaxRange | null)[];
  readonly #mapper: RangeMapper;
  readonly #facts: FileFacts;
  readonly #log: Logger;
  /** Ranges of which the guest could come to need more than is mapped. */
  readonly partial = new Set<DaxRange>();
  /** Ranges that are private copies. */
  readonly copies = new Set<DaxRange>();

  constructor(windowSize: number, mapper: RangeMapper, facts: FileFacts, log: Logger) {
    this.#slots = new Array<DaxRange | null>(windowSize / DAX_RANGE).fill(null);
    this.#mapper = mapper;
    this.#facts = facts;
    this.#log = log;
  }

  at(moffset: number): DaxRange | null {
    return this.#slots[Math.floor(moffset / DAX_RANGE)] ?? null;
  }

  /** Puts part of a file into a slot, removing what stood there. `done` gets 0 or a negative errno. */
  place(
    region: ShmRegion,
    inode: DaxInode,
    foffset: number,
    moffset: number,
    len: number,
    done: (error: number) => void,
  ): void {
    const old = this.at(moffset);
    if (old?.busy) {
      old.waiters.push(() => this.place(region, inode, foffset, moffset, len, done));
      return;
    }
    if (old !== null && (old.inode !== inode || old.foffset !== foffset || old.len !== len)) {
      // Linux re-uses a range even after a failed REMOVEMAPPING.
      this.remove(region, old, () => this.place(region, inode, foffset, moffset, len, done));
      return;
    }
    if (inode.fd === null) {
      // its last range went while this one waited
      done(-EBADF);
      return;
    }
    const range = old ?? new DaxRange(inode, foffset, moffset, len);
    if (old === null) {
      this.#slots[moffset / DAX_RANGE] = range;
      inode.ranges.add(range);
    }
    this.cover(region, range, done);
  }

  /** Makes what the file holds of a range reachable; see RangeMapper. */
  cover(region: ShmRegion, range: DaxRange, done: (error: number) => void): void {
    if (range.busy) {
      range.waiters.push(() => this.cover(region, range, done));
      return;
    }
    if (this.at(range.moffset) !== range) {
      done(0);
      return;
    }
    range.busy = true;
    this.#mapper.cover(region, range, (error) => {
      range.busy = false;
      if (range.covered === 0) this.#drop(range);
      else if (this.at(range.moffset) === range) this.#note(range);
      releaseIdle(range.inode);
      this.#wake(range);
      done(error);
    });
  }

  /** Unmaps a range. `done` comes when the guest cannot reach it any more. */
  remove(region: ShmRegion, range: DaxRange, done: (error: number) => void): void {
    if (range.busy) {
      range.waiters.push(() => this.remove(region, range, done));
      return;
    }
    if (this.at(range.moffset) !== range) {
      done(0);
      return;
    }
    range.busy = true;
    region.unmap(range.moffset, DAX_RANGE, (error) => {
      range.busy = false;
      this.writeBack(range);
      this.#drop(range);
      this.#wake(range);
      done(error);
    });
  }

  /** Writes what the guest stored in a copied range to the file. @returns 0 or a negative errno (also logged) */
  writeBack(range: DaxRange): number {
    if (range.copy === null) return 0;
    const { inode } = range;
    const fd = inode.fd!.fd;
    const size = this.#facts.size(fd);
    const result = size < 0 ? size : range.copy.writeBack(fd, size);
    if (result < 0) this.#log.error('cannot write a copied range back', { path: inode.path, errno: -result });
    return result;
  }

  /** The front-end dropped every mapping, or is about to: nothing is sent. */
  forgetAll(): void {
    for (const range of this.#slots) {
      if (range === null) continue;
      this.writeBack(range);
      this.#drop(range);
      this.#wake(range);
    }
  }

  all(): DaxRange[] {
    return this.#slots.filter((range) => range !== null);
  }

  #note(range: DaxRange): void {
    if (range.covered < range.len) this.partial.add(range);
    else this.partial.delete(range);
    if (range.copy !== null) this.copies.add(range);
  }

  #drop(range: DaxRange): void {
    const slot = range.moffset / DAX_RANGE;
    if (this.#slots[slot] !== range) return;
    this.#slots[slot] = null;
    this.partial.delete(range);
    this.copies.delete(range);
    range.copy?.[Symbol.dispose]();
    range.copy = null;
    range.inode.ranges.delete(range);
    releaseIdle(range.inode);
  }

  #wake(range: DaxRange): void {
    for (const waiter of range.waiters.splice(0)) waiter();
  }
}

/** Closes an inode's descriptor when no range needs it; a growth still shortens the file through it. */
function releaseIdle(inode: DaxInode): void {
  if (inode.ranges.size === 0 && !inode.growing) inode.release();
}
