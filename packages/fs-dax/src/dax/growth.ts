/**
 * Grow, map, shrink: a front-end that refuses mappings past the end of a file is shown a longer file for the time of one
 * request. The true size is written to the crash record first and is what the guest sees meanwhile.
 */
import { EBUSY, type Logger, type Sys } from '@oriel/sys';
import type { FileFacts } from './file-facts.ts';
import type { GrowRecord } from './grow-record.ts';
import type { DaxInode } from './inode.ts';

/** Steps of a growth, for tests that end the process in between. */
export type GrowthStep = 'recorded' | 'grown' | 'mapped' | 'shrunk' | 'cleared';

export interface GrowthOptions {
  readonly sys: Pick<Sys, 'file'>;
  readonly facts: FileFacts;
  readonly record: GrowRecord;
  readonly log: Logger;
  readonly onStep?: (step: GrowthStep) => void;
}

export class Growth {
  readonly #options: GrowthOptions;
  #inode: DaxInode | null = null;
  #grownSize = 0;

  constructor(options: GrowthOptions) {
    this.#options = options;
  }

  /** The inode whose file is longer than it should be now, or null. */
  get inode(): DaxInode | null {
    return this.#inode;
  }

  /**
   * Lengthens the file of `inode` to `target` bytes if it is shorter. Call `end` after the request, whatever it brought.
   * @returns 0 or a negative errno; the file is then as it was
   */
  begin(inode: DaxInode, target: number): number {
    if (this.#inode !== null) return this.#inode === inode && this.#grownSize === target ? 0 : -EBUSY;
    const { sys, facts, record } = this.#options;
    const fd = inode.fd!.fd;
    const size = facts.size(fd);
    if (size < 0 || size >= target) return Math.min(size, 0);
    facts.keepTimes();
    const failed = record.begin({ identity: facts.identity, trueSize: size, grownSize: target, path: inode.path });
    if (failed < 0) return failed;
    this.#options.onStep?.('recorded');
    this.#inode = inode;
    this.#grownSize = target;
    inode.trueSize = size;
    const result = sys.file.ftruncate(fd, target);
    if (result < 0) {
      this.#finish();
      return result;
    }
    this.#options.onStep?.('grown');
    return 0;
  }

  /** Shortens the file again, unless somebody changed its size meanwhile (then it is left, and the log says so). */
  end(inode: DaxInode): void {
    if (this.#inode !== inode) return;
    const { sys, facts, log } = this.#options;
    this.#options.onStep?.('mapped');
    const fd = inode.fd!.fd;
    const size = facts.size(fd);
    if (size === this.#grownSize) {
      const result = sys.file.ftruncate(fd, inode.trueSize);
      if (result < 0) log.error('cannot shorten a grown file', { path: inode.path, errno: -result });
      facts.restoreTimes(fd);
    } else if (size !== inode.trueSize) {
      log.error('a file was resized by another process while it was grown for a mapping; it is left as it is', {
        path: inode.path,
        size,
        trueSize: inode.trueSize,
      });
    }
    this.#options.onStep?.('shrunk');
    this.#finish();
  }

  #finish(): void {
    this.#options.record.clear();
    this.#options.onStep?.('cleared');
    this.#inode!.trueSize = -1;
    this.#inode = null;
  }
}
