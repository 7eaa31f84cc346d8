/** The front-end's own accesses to a window: by system calls, so that a page without a file is an errno and never a signal. */
import { isSafeUnsigned, rangeFits } from '@oriel/layout';
import { EFAULT, EINVAL } from '@oriel/sys';
import type { RangeTable } from './range-table.ts';
import type { UnmappedPolicy } from './unmapped-policy.ts';
import { liveEnd, type WindowFaults, type WindowRecord } from './window-faults.ts';
import type { WindowMemory } from './window-memory.ts';

/** What the copies need of their window. */
export interface WindowCopiesOptions {
  readonly memory: WindowMemory;
  readonly entries: RangeTable<WindowRecord>;
  readonly policy: UnmappedPolicy;
  readonly faults: WindowFaults;
}

/** Copies as much as one call can. @returns bytes; 0 when the first page faults */
type CopyStep = (at: number, count: number, done: number) => number;

export class WindowCopies {
  readonly #options: WindowCopiesOptions;

  constructor(options: WindowCopiesOptions) {
    this.#options = options;
  }

  /** See `Window.read`. */
  read(shmOffset: number, to: Uint8Array): number {
    const { memory } = this.#options;
    return this.#copy(shmOffset, to.length, false, (at, count, done) => memory.read(at, to, done, count));
  }

  /** See `Window.write`. */
  write(shmOffset: number, from: Uint8Array): number {
    const { memory } = this.#options;
    return this.#copy(shmOffset, from.length, true, (at, count, done) => memory.write(at, from, done, count));
  }

  #copy(shmOffset: number, len: number, write: boolean, step: CopyStep): number {
    const { memory, policy, faults } = this.#options;
    if (!isSafeUnsigned(shmOffset) || !rangeFits(shmOffset, len, memory.size)) {
      return -EINVAL;
    }
    // Stores to unmapped pages vanish, also where those pages are writable until they are wiped.
    const skips = write && policy === 'discard';
    let judged = -1;
    for (let done = 0; done < len; ) {
      const at = shmOffset + done;
      const dropped = skips ? this.#gapAt(at) : 0;
      if (dropped > 0) {
        done += Math.min(dropped, len - done);
        continue;
      }
      const copied = step(at, Math.min(len - done, skips ? this.#mappedAt(at) : len), done);
      done += copied;
      if (copied > 0) {
        continue;
      }
      const verdict = judged === at ? 'stop' : faults.at('process', at, write);
      judged = at;
      if (verdict === 'drop') {
        done += Math.min(memory.pageSize - (at % memory.pageSize), len - done);
      } else if (verdict !== 'retry') {
        return -EFAULT;
      }
    }
    return len;
  }

  /** Bytes from an offset on that no file answers; 0 in a mapping. */
  #gapAt(at: number): number {
    const { entries, memory } = this.#options;
    const entry = entries.items[entries.indexFrom(at)];
    if (entry === undefined) {
      return memory.size - at;
    }
    return at >= liveEnd(entry) ? entry.shmOffset + entry.len - at : Math.max(0, entry.shmOffset - at);
  }

  /** Bytes of the mapping at an offset, from there on. */
  #mappedAt(at: number): number {
    const { entries } = this.#options;
    return liveEnd(entries.items[entries.indexFrom(at)]!) - at;
  }
}
