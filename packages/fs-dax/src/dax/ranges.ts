/** The window's 2 MiB slots: which range stands where, and the order of requests for one slot. */
import type { ShmRegion } from '@oriel/shm-region';
import { EBADF, EIO, type Logger } from '@oriel/sys';
import { DAX_RANGE } from '../layout.ts';
import type { FileFacts } from './file-facts.ts';
import type { DaxInode } from './inode.ts';
import type { RangeMapper } from './mapper.ts';
import { DaxRange } from './range.ts';
import type { RangeJournal, RangeNote } from './range-journal.ts';
import { SparseLog } from './sparse-log.ts';

/** 0 or a negative errno. */
type Done = (error: number) => void;

export class RangeTable {
  readonly #slots: (DaxRange | null)[];
  readonly #mapper: RangeMapper;
  readonly #facts: FileFacts;
  readonly #notWritten: SparseLog;
  #journal: RangeJournal | null = null;
  /** By slot: mappings at the front-end of files that this process cannot open. The guest keeps its pages. */
  readonly #lost = new Map<number, RangeNote>();
  /** Ranges of which the guest could come to need more than is mapped. */
  readonly partial = new Set<DaxRange>();
  /** Ranges that are private copies. */
  readonly copies = new Set<DaxRange>();

  constructor(windowSize: number, mapper: RangeMapper, facts: FileFacts, log: Logger) {
    this.#slots = new Array<DaxRange | null>(windowSize / DAX_RANGE).fill(null);
    this.#mapper = mapper;
    this.#facts = facts;
    this.#notWritten = new SparseLog(log, 'error', 'cannot write a copied range back');
  }

  get journal(): RangeJournal | null {
    return this.#journal;
  }

  /** What another process is to know stands there from now on; null: nothing more is noted, and what was stays. */
  set journal(journal: RangeJournal | null) {
    this.#journal = journal;
    for (const range of this.all()) range.journal = journal;
  }

  at(moffset: number): DaxRange | null {
    return this.#slots[Math.floor(moffset / DAX_RANGE)] ?? null;
  }

  /** Puts part of a file into a slot, removing what stood there. */
  place(region: ShmRegion, inode: DaxInode, foffset: number, moffset: number, len: number, done: Done): void {
    if (inode.gone) {
      done(-EBADF);
      return;
    }
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
    const range = old ?? new DaxRange(inode, foffset, moffset, len);
    if (old === null) {
      this.#unmapLost(region, moffset);
      this.#slots[moffset / DAX_RANGE] = range;
      range.journal = this.#journal;
      this.#journal?.place(moffset / DAX_RANGE, inode.nodeid, foffset, len);
      inode.ranges.add(range);
      this.partial.add(range);
    }
    this.cover(region, range, done);
  }

  /** Makes what the file holds of a range reachable; see RangeMapper. */
  cover(region: ShmRegion, range: DaxRange, done: Done): void {
    if (range.busy) {
      range.waiters.push(() => this.cover(region, range, done));
      return;
    }
    if (!this.#holds(range)) {
      done(0);
      return;
    }
    begin(range);
    this.#mapper.cover(region, range, (error) => {
      if (this.#holds(range)) {
        if (range.covered > 0) range.held = true;
        if (range.held) this.#note(range);
        else this.#drop(range);
      }
      this.#end(range);
      done(error);
    });
  }

  /** Unmaps a range. `done` comes when the guest cannot reach it any more. */
  remove(region: ShmRegion, range: DaxRange, done: Done): void {
    if (range.busy) {
      range.waiters.push(() => this.remove(region, range, done));
      return;
    }
    if (!this.#holds(range)) {
      done(0);
      return;
    }
    begin(range);
    region.unmap(range.moffset, DAX_RANGE, (error) => {
      if (this.#holds(range)) {
        this.writeBack(range);
        this.#drop(range);
      }
      this.#end(range);
      done(error);
    });
  }

  /**
   * Unmaps what of a range lies behind `keep` bytes of it, for a truncation. A mapping across that place goes whole. `done`
   * comes when the guest cannot reach it any more, or with -ECANCELED when the rings stop first.
   */
  shrink(region: ShmRegion, range: DaxRange, keep: number, done: Done): void {
    if (range.busy) {
      range.waiters.push(() => this.shrink(region, range, keep, done));
      return;
    }
    if (!this.#holds(range) || range.covered <= keep) {
      done(0);
      return;
    }
    begin(range);
    const entries = region.entries(range.moffset, DAX_RANGE);
    const first = entries.findIndex(({ shmOffset, len }) => shmOffset + len > range.moffset + keep);
    const start = first < 0 ? range.moffset : entries[first]!.shmOffset;
    region.unmap(start, range.moffset + DAX_RANGE - start, (error) => {
      if (this.#holds(range)) {
        // Also at a stop: the unmapping stays due.
        range.has(Math.max(0, first), start - range.moffset);
        range.shrunk = true;
        this.#note(range);
      }
      this.#end(range);
      // A mapping that the front-end does not know is in nobody's way.
      done(error === -EIO ? 0 : error);
    });
  }

  /** Writes what the guest stored in a copied range to the file. @returns 0 or a negative errno (also logged) */
  writeBack(range: DaxRange): number {
    if (range.copy === null) return 0;
    const { inode } = range;
    const fd = inode.fd!.fd;
    const size = this.#facts.size(fd);
    const result = size < 0 ? size : range.copy.writeBack(fd, size);
    if (result < 0) this.#notWritten.add({ path: inode.path, errno: -result });
    return result;
  }

  /** The front-end dropped every mapping, or is about to. */
  forgetAll(): void {
    this.#lost.clear();
    for (const range of this.all()) {
      this.writeBack(range);
      this.#drop(range);
      if (!range.busy) release(range);
      wake(range);
    }
  }

  /**
   * Takes up a range as the journal has it, with the mappings that the front-end holds.
   * @param inode - with a descriptor
   */
  takeUp(region: ShmRegion, inode: DaxInode, moffset: number, { foffset, len, ends, asked }: RangeNote): void {
    const range = new DaxRange(inode, foffset, moffset, len);
    range.journal = this.#journal;
    const { fd } = inode.fd!;
    for (const end of ends) {
      const from = range.covered;
      const mapping = { fd, fdOffset: foffset + from, shmOffset: moffset + from, len: end - from, writable: true };
      if (region.adopt({ ...mapping, owner: inode, label: inode.path }) < 0) break;
      range.has(range.pieces + 1, end);
    }
    if (asked > range.covered) {
      const from = range.covered;
      const len = asked - from;
      region.unmapUncertain({ fdOffset: foffset + from, shmOffset: moffset + from, len, writable: true });
    }
    range.asks(0);
    if (range.covered === 0) {
      range.journal?.clear(moffset / DAX_RANGE);
      return;
    }
    this.#slots[moffset / DAX_RANGE] = range;
    inode.ranges.add(range);
    range.held = true;
    this.#note(range);
  }

  /** A range as the journal has it, whose file cannot be opened: its mappings go when the slot is used for another. */
  lose(moffset: number, note: RangeNote): void {
    this.#lost.set(moffset / DAX_RANGE, note);
  }

  all(): DaxRange[] {
    return this.#slots.filter((range) => range !== null);
  }

  #unmapLost(region: ShmRegion, moffset: number): void {
    const lost = this.#lost.get(moffset / DAX_RANGE);
    if (lost === undefined) return;
    this.#lost.delete(moffset / DAX_RANGE);
    const { foffset, ends, asked } = lost;
    let from = 0;
    for (const end of [...ends, asked]) {
      if (end <= from) continue;
      region.unmapUncertain({ fdOffset: foffset + from, shmOffset: moffset + from, len: end - from, writable: true });
      from = end;
    }
  }

  #holds(range: DaxRange): boolean {
    return this.#slots[range.moffset / DAX_RANGE] === range;
  }

  #note(range: DaxRange): void {
    if (range.covered < range.len) this.partial.add(range);
    else {
      this.partial.delete(range);
      range.shrunk = false;
    }
    if (range.copy !== null) this.copies.add(range);
  }

  /** Frees the slot. What a request under way still needs stays until its end. */
  #drop(range: DaxRange): void {
    this.#slots[range.moffset / DAX_RANGE] = null;
    range.journal?.clear(range.moffset / DAX_RANGE);
    this.partial.delete(range);
    this.copies.delete(range);
    range.inode.ranges.delete(range);
  }

  #end(range: DaxRange): void {
    range.busy = false;
    range.inode.users--;
    if (!this.#holds(range)) release(range);
    wake(range);
  }
}

function begin(range: DaxRange): void {
  range.busy = true;
  range.inode.users++;
}

function release(range: DaxRange): void {
  range.releaseCopy();
  range.inode.releaseIdle();
}

function wake(range: DaxRange): void {
  for (const waiter of range.waiters.splice(0)) waiter();
}
