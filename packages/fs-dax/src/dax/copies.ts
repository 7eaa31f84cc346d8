/** Tail mode `copy`: when the private copies of ranges are written to their files and read again. */
import type { Operation } from '@oriel/fuse';
import type { Logger } from '@oriel/sys';
import type { DaxInode } from './inode.ts';
import { changesContent, synchronises, touchesSecondInode } from './opcodes.ts';
import type { RangeTable } from './ranges.ts';

export class CopyKeeper {
  readonly #ranges: RangeTable;
  readonly #log: Logger;

  constructor(ranges: RangeTable, log: Logger) {
    this.#ranges = ranges;
    this.#log = log;
  }

  /** True while any range is a copy. */
  get any(): boolean {
    return this.#ranges.copies.size > 0;
  }

  /** A request is about to run: what it reads or changes must be in the file. */
  before(op: Operation): void {
    const { opcode } = op;
    if (!synchronises(opcode) && !changesContent(opcode)) return;
    for (const range of this.#ranges.copies) {
      // Which file COPY_FILE_RANGE writes to is not decoded yet.
      if (range.inode.nodeid === op.nodeid || touchesSecondInode(opcode)) this.#ranges.writeBack(range);
    }
  }

  /** The file's content or size changed: its copies are read again. */
  reload(inode: DaxInode): void {
    for (const range of inode.ranges) this.#report(inode, range.copy?.load(inode.fd!.fd) ?? 0);
  }

  /** The guest is about to learn the file's size: its copies hold the bytes up to there. */
  extend(inode: DaxInode): void {
    if (inode.fd === null) return;
    for (const range of inode.ranges) this.#report(inode, range.copy?.extend(inode.fd.fd) ?? 0);
  }

  #report(inode: DaxInode, result: number): void {
    if (result < 0) this.#log.error('cannot read a copied range again', { path: inode.path, errno: -result });
  }
}
