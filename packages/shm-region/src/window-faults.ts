/** Decides what becomes of an access that no file answered, and mends what a truncated file has left. */
import type { RangeTable } from './range-table.ts';
import {
  type FaultCause,
  type FaultVerdict,
  readOnlyVerdict,
  type UnmappedPolicy,
  unmappedVerdict,
  type WindowFault,
} from './unmapped-policy.ts';
import type { WindowEntry } from './window.ts';
import type { WindowMemory } from './window-memory.ts';

/** An entry as the window keeps it. */
export type WindowRecord = { -readonly [K in keyof WindowEntry]: WindowEntry[K] };

/** What the judge needs of its window. */
export interface WindowFaultsOptions {
  readonly memory: WindowMemory;
  readonly entries: RangeTable<WindowRecord>;
  readonly policy: UnmappedPolicy;
  readonly onFault: ((fault: WindowFault) => void) | undefined;
}

export class WindowFaults {
  readonly #options: WindowFaultsOptions;

  constructor(options: WindowFaultsOptions) {
    this.#options = options;
  }

  /** An access at a known place. @param shmOffset - inside the window */
  at(by: WindowFault['by'], shmOffset: number, write: boolean | null): FaultVerdict {
    const { entries, policy, memory } = this.#options;
    const entry = entries.items[entries.indexFrom(shmOffset)];
    if (entry === undefined || entry.shmOffset > shmOffset) {
      return this.#tell(by, 'unmapped', shmOffset, write, unmappedVerdict(policy, write));
    }
    const mended = shmOffset < liveEnd(entry) && !memory.readable(shmOffset) && this.#mend(entry);
    if (mended || shmOffset >= liveEnd(entry)) {
      // What is not known to be a store may be a load, which the mended page answers; a store comes back.
      const verdict = unmappedVerdict(policy, mended && write === null ? false : write);
      return this.#tell(by, 'truncated', shmOffset, write, verdict);
    }
    if (write !== false && !entry.writable) {
      return this.#tell(by, 'read-only', shmOffset, write, readOnlyVerdict(policy));
    }
    // Mapped between the access and now.
    return 'retry';
  }

  /** KVM_RUN answered -EFAULT and not where: a file may have lost pages, and those that have are mended. */
  somewhere(): FaultVerdict {
    const { entries, policy } = this.#options;
    if (policy === 'inject') {
      // The verdict is the same wherever it was; a guest that faults on and on must not cost a search each time.
      return this.#tell('guest', 'unknown', null, null, 'inject');
    }
    let found = false;
    for (const entry of entries.items) {
      found = this.#mend(entry) || found;
    }
    // Where unmapped pages can be loaded from, a load that failed was one of a truncated file, and now succeeds.
    const verdict = found && policy !== 'fault' ? 'retry' : 'stop';
    return this.#tell('guest', found ? 'truncated' : 'unknown', null, null, verdict);
  }

  /** Finds where the file of an entry ends now; its pages behind that become unmapped ones, in place. @returns true: some did */
  #mend(entry: WindowRecord): boolean {
    const { memory, policy } = this.#options;
    const { pageSize } = memory;
    let low = entry.shmOffset;
    let high = liveEnd(entry);
    if (high === low || memory.readable(high - pageSize)) {
      return false;
    }
    // A truncated file has lost its end: readable pages first, then none.
    while (low < high) {
      const middle = low + Math.floor((high - low) / pageSize / 2) * pageSize;
      if (memory.readable(middle)) {
        low = middle + pageSize;
      } else {
        high = middle;
      }
    }
    // With nothing to put there the pages stay as they are, and work again should the file grow again.
    if (policy === 'fault' || policy === 'inject') {
      return true;
    }
    const end = liveEnd(entry);
    if (memory.reserve(low, end - low) === 0) {
      entry.lost += end - low;
    }
    return true;
  }

  #tell(
    by: WindowFault['by'],
    cause: FaultCause,
    shmOffset: number | null,
    write: boolean | null,
    verdict: FaultVerdict,
  ): FaultVerdict {
    this.#options.onFault?.({ by, cause, shmOffset, write, verdict });
    return verdict;
  }
}

/** Where the part of an entry ends that its file still answers. */
export function liveEnd(entry: WindowEntry): number {
  return entry.shmOffset + entry.len - entry.lost;
}
