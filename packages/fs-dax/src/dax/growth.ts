/**
 * Grow, map, shrink: a front-end that refuses mappings past the end of a file is shown a longer file for the time of one
 * request. The true size is written to the crash record first and is what the guest sees meanwhile.
 *
 * One file is grown at a time, for one claim. From the claim on new requests for the file are held; those that run in helper
 * threads are waited for.
 */
import type { Attributes } from '@oriel/fuse';
import { ESTALE, type Logger, type Sys } from '@oriel/sys';
import type { FileFacts } from './file-facts.ts';
import type { GrowRecord } from './grow-record.ts';
import { holdsData } from './grown-part.ts';
import type { DaxInode } from './inode.ts';

/** Steps of a growth, for tests that end the process in between. */
export type GrowthStep = 'recorded' | 'grown' | 'mapped' | 'shrunk' | 'cleared';

export interface GrowthOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly facts: FileFacts;
  readonly record: GrowRecord;
  readonly log: Logger;
  /** Where an inode's file lies now, for the record. */
  readonly pathOf: (nodeid: number) => string;
  /** Whether a request for the inode runs in a helper thread; when it ends, `retry` is called. */
  readonly underWay: (nodeid: number) => boolean;
  /** No file is grown or claimed: held requests may go. */
  readonly onFree: () => void;
  readonly onStep?: (step: GrowthStep) => void;
}

interface Claim {
  readonly inode: DaxInode;
  readonly run: () => void;
}

export class Growth {
  readonly #options: GrowthOptions;
  readonly #claims: Claim[] = [];
  #inode: DaxInode | null = null;
  /** A claim was let run and has not ended. */
  #running = false;
  #advancing = false;
  #trueSize = -1;
  #grownSize = 0;
  #path = '';

  constructor(options: GrowthOptions) {
    this.#options = options;
  }

  /** The inode that is claimed, or null: its requests are to be held. */
  get inode(): DaxInode | null {
    return this.#inode;
  }

  /** True while a file is longer than it should be. */
  get grown(): boolean {
    return this.#trueSize >= 0;
  }

  /** True while a claim waits. */
  get waiting(): boolean {
    return this.#claims.length > 0;
  }

  /** Calls `run` when the file of `inode` may be grown, at once or later; `end` must follow. */
  claim(inode: DaxInode, run: () => void): void {
    this.#claims.push({ inode, run });
    this.retry();
  }

  /** A request ended, or an inode is gone: what was waited for may have come. */
  retry(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    for (let claim = this.#claims[0]; claim !== undefined && !this.#running; claim = this.#claims[0]) {
      const { inode, run } = claim;
      this.#inode = inode;
      if (!inode.gone && this.#options.underWay(inode.nodeid)) break;
      this.#claims.shift();
      this.#running = true;
      run();
    }
    this.#advancing = false;
  }

  /**
   * Lengthens the claimed file to `target` bytes; may be called again before `end`.
   * @param from - the file must end behind it, bytes, and before `target`
   * @returns 0, -ESTALE when the file ends elsewhere, or a negative errno; the file is then as it was
   */
  begin(from: number, target: number): number {
    if (this.grown) return 0;
    const { sys, facts, record, pathOf } = this.#options;
    const inode = this.#inode!;
    const fd = inode.fd!.fd;
    const size = facts.size(fd);
    if (size <= from || size >= target) return size < 0 ? size : -ESTALE;
    facts.keepTimes();
    this.#path = pathOf(inode.nodeid);
    const failed = record.begin({ identity: facts.identity, trueSize: size, grownSize: target, path: this.#path });
    if (failed < 0) return failed;
    this.#step('recorded');
    // Once more, as writing the record took its time: a file that grew must not be cut.
    const now = facts.size(fd);
    const result = now === size ? sys.file.ftruncate(fd, target) : -ESTALE;
    if (result < 0) {
      this.#clearRecord();
      return result;
    }
    this.#trueSize = size;
    this.#grownSize = target;
    this.#step('grown');
    return 0;
  }

  /** Ends the claim; shortens the file again, unless somebody changed it meanwhile (then it is left, and the log says so). */
  end(): void {
    if (this.grown) {
      this.#step('mapped');
      this.#shrink();
      this.#trueSize = -1;
      this.#step('cleared');
    }
    this.#inode = null;
    this.#running = false;
    this.#options.onFree();
    this.retry();
  }

  /** Gives attributes of the grown file the values that it really has. */
  correct(attr: Attributes): void {
    attr.size = this.#trueSize;
    attr.mtime = this.#options.facts.keptMtime;
    attr.mtimeNs = this.#options.facts.keptMtimeNs;
  }

  #shrink(): void {
    const { sys, facts, log } = this.#options;
    const fields = { path: this.#path, trueSize: this.#trueSize };
    const fd = this.#inode!.fd!.fd;
    const size = facts.size(fd);
    const { pageSize } = sys.mem;
    if (size !== this.#grownSize && size !== this.#trueSize) {
      log.error('a file was resized by another process while it was grown for a mapping; it is left as it is', {
        ...fields,
        size,
      });
    } else if (size > this.#trueSize && holdsData(sys, fd, Math.ceil(this.#trueSize / pageSize) * pageSize, size)) {
      log.error('another process wrote behind the end of a file that was grown for a mapping; it is left grown', {
        ...fields,
        size,
      });
    } else {
      const result = sys.file.ftruncate(fd, this.#trueSize);
      if (result < 0) {
        // The record stays: the next start tries again.
        log.error('cannot shorten a grown file', { ...fields, errno: -result });
        return;
      }
      facts.restoreTimes(fd);
    }
    this.#step('shrunk');
    this.#clearRecord();
  }

  #clearRecord(): void {
    const result = this.#options.record.clear();
    if (result < 0) this.#options.log.error('cannot clear the crash record', { errno: -result });
  }

  #step(step: GrowthStep): void {
    this.#options.onStep?.(step);
  }
}
