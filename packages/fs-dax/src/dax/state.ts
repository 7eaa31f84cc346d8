/** What the parts of a window share: built once, in order of need. */
import type { Filesystem } from '@oriel/fuse';
import type { ShmRegion } from '@oriel/shm-region';
import type { Logger, Sys } from '@oriel/sys';
import { CopyKeeper } from './copies.ts';
import { FileFacts } from './file-facts.ts';
import type { GrowRecord } from './grow-record.ts';
import { Growth, type GrowthStep } from './growth.ts';
import { TruncationGuard } from './guard.ts';
import type { GuardHost } from './guard-host.ts';
import { InodeTable } from './inodes.ts';
import { KeptOperations } from './kept-operations.ts';
import { RangeMapper } from './mapper.ts';
import type { DaxGuard, DaxTail } from './options.ts';
import { RangeTable } from './ranges.ts';

/** How the guest mounted: its INIT tells. */
export type DaxMode = 'none' | 'inode' | 'always';

export interface DaxWindowOptions {
  readonly sys: Sys;
  readonly fs: Filesystem;
  readonly log: Logger;
  readonly windowSize: number;
  readonly tail: DaxTail;
  readonly minSize: number;
  readonly guard: DaxGuard;
  readonly guardHost: GuardHost;
  /** Owned by the window. */
  readonly record: GrowRecord | null;
  readonly onStep?: (step: GrowthStep) => void;
}

export class DaxState implements Disposable {
  readonly options: DaxWindowOptions;
  readonly facts: FileFacts;
  readonly inodes: InodeTable;
  readonly kept = new KeptOperations();
  /** Null without a crash record: then no file is ever grown. */
  readonly growth: Growth | null;
  readonly ranges: RangeTable;
  readonly guard: TruncationGuard;
  readonly copies: CopyKeeper;
  mode: DaxMode = 'none';
  /** Of the present connection, or of the one before. */
  region: ShmRegion | null = null;

  /** @throws SysError ENOMEM */
  constructor(options: DaxWindowOptions) {
    const { sys, log, record, tail, windowSize, onStep } = options;
    this.options = options;
    this.facts = new FileFacts(sys);
    this.guard = new TruncationGuard(this, { sys, log, policy: options.guard, host: options.guardHost });
    this.inodes = new InodeTable({ ...options, watch: (inode) => this.guard.watch(inode) });
    this.growth =
      record === null
        ? null
        : new Growth({
            sys,
            facts: this.facts,
            record,
            log,
            pathOf: (nodeid) => this.inodes.path(nodeid),
            underWay: (nodeid) => this.kept.underWay(nodeid),
            onFree: () => this.kept.resumeHeld(() => this.growth!.inode === null),
            ...(onStep ? { onStep } : {}),
          });
    const mapper = new RangeMapper({
      sys,
      facts: this.facts,
      growth: this.growth,
      tail,
      guarded: options.guard !== 'off',
      log,
    });
    this.ranges = new RangeTable(windowSize, mapper, this.facts, log);
    this.copies = new CopyKeeper(this.ranges, log);
  }

  [Symbol.dispose](): void {
    this.guard[Symbol.dispose]();
    this.facts[Symbol.dispose]();
    this.options.record?.[Symbol.dispose]();
  }
}
