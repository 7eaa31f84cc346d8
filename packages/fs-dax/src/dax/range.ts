/** A 2 MiB range of the window that the guest gave to a part of a file. */
import { DAX_RANGE } from '../layout.ts';
import type { DaxInode } from './inode.ts';
import type { RangeCopy } from './range-copy.ts';
import type { RangeJournal } from './range-journal.ts';

export class DaxRange {
  /** Offset in the window, bytes. */
  readonly moffset: number;
  /** Bytes that the guest asked for, at most DAX_RANGE. */
  readonly len: number;
  readonly inode: DaxInode;
  /** Offset in the file, bytes. */
  readonly foffset: number;
  /** Bytes from `moffset` on that are mapped; a page multiple. */
  covered = 0;
  /** Mappings at the front-end that make up `covered`. */
  pieces = 0;
  /** The largest size of the file that the guest was told of before anything was mapped, bytes. */
  told = 0;
  /** Something was mapped: the guest has been told, and may be at it. */
  held = false;
  /** Part of it was taken away for a truncation. */
  shrunk = false;
  /** A map or unmap request is under way. */
  busy = false;
  /** The private copy that stands here instead of the file (tail mode `copy`). */
  copy: RangeCopy | null = null;
  /** Where the range is noted for another process. */
  journal: RangeJournal | null = null;
  /** Called once when the request under way is done. */
  readonly waiters: (() => void)[] = [];

  constructor(inode: DaxInode, foffset: number, moffset: number, len: number) {
    this.inode = inode;
    this.foffset = foffset;
    this.moffset = moffset;
    this.len = len;
  }

  /** True when the guest may reach bytes of a file of `size` bytes that are not mapped here. */
  lacks(size: number, pageSize: number): boolean {
    const end = Math.min(this.len, Math.ceil(size / pageSize) * pageSize - this.foffset);
    return end > this.covered;
  }

  /** A mapping up to `end` is about to be asked for; 0: the answer came. */
  asks(end: number): void {
    this.journal?.ask(this.moffset / DAX_RANGE, end);
  }

  /** So many mappings cover it up to `end`. */
  has(pieces: number, end: number): void {
    this.covered = end;
    this.pieces = pieces;
    this.journal?.have(this.moffset / DAX_RANGE, pieces, end);
  }

  releaseCopy(): void {
    this.copy?.[Symbol.dispose]();
    this.copy = null;
  }
}
