/** Tail mode `copy`: when the private copies of ranges are written to their files and read again. */
import type { Operation } from '@oriel/fuse';
import type { Logger } from '@oriel/sys';
import type { DaxInode } from './inode.ts';
import { NEEDS_STORES, REACHES_OTHERS, SYNCHRONISES, traitsOf } from './opcodes.ts';
import type { DaxRange } from './range.ts';
import type { RangeTable } from './ranges.ts';
import { SparseLog } from './sparse-log.ts';

export class CopyKeeper {
  readonly #ranges: RangeTable;
  readonly #notRead: SparseLog;

  constructor(ranges: RangeTable, log: Logger) {
    this.#ranges = ranges;
    this.#notRead = new SparseLog(log, 'error', 'cannot read a copied range again');
  }

  /** True while any range is a copy. */
  get any(): boolean {
    return this.#ranges.copies.size > 0;
  }

  /**
   * A request is about to run: what it reads, changes or makes durable must be in the file.
   * @returns 0, or the negative errno that a request like FSYNC is to be answered with
   */
  before(op: Operation): number {
    const traits = traitsOf(op.opcode);
    if ((traits & NEEDS_STORES) === 0) return 0;
    let failure = 0;
    for (const range of this.#ranges.copies) {
      // A request that reaches others names them in its body, which is not decoded yet.
      if (range.inode.nodeid !== op.nodeid && (traits & REACHES_OTHERS) === 0) continue;
      const result = this.#ranges.writeBack(range);
      if (result < 0) failure = result;
    }
    return (traits & SYNCHRONISES) === 0 ? 0 : failure;
  }

  /** The file's content or size may have changed: its copies take the change over. */
  reload(inode: DaxInode): void {
    for (const range of inode.ranges) this.#report(range, range.copy?.load(inode.fd!.fd) ?? 0);
  }

  /** The guest is about to learn the file's size: its copies hold the bytes up to there. */
  extend(inode: DaxInode): void {
    for (const range of inode.ranges) this.#report(range, range.copy?.extend(inode.fd!.fd) ?? 0);
  }

  #report(range: DaxRange, result: number): void {
    if (result < 0) this.#notRead.add({ path: range.inode.path, errno: -result });
  }
}
