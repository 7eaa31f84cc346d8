/** The files of host memory that outlive the process: each is kept under the number of the record that tells of it. */
import { Fd, type SysFd } from '@oriel/sys';
import type { StateMemory } from '@oriel/virtio-device';
import type { Records } from './records.ts';

/** `oriel --restart` holds 4096 descriptors, of which some are others'. */
const MAX_KEPT = 3072;

/**
 * The word beside the records names the file, if any, that no record tells of: one that is being kept, or no more. So a kill
 * leaves none behind.
 */
export class KeptFiles {
  readonly #store: Omit<StateMemory, 'bytes'>;
  readonly #records: Records;
  readonly #sys: Pick<SysFd, 'close' | 'dup'>;
  /** Records whose file is kept. */
  readonly #kept = new Set<number>();

  constructor(store: Omit<StateMemory, 'bytes'>, records: Records, sys: Pick<SysFd, 'close' | 'dup'>) {
    this.#store = store;
    this.#records = records;
    this.#sys = sys;
  }

  /** Forgets what a kill left without a record. @param kept - records that tell of a file */
  recover(kept: Iterable<number>): void {
    for (const record of kept) this.#kept.add(record);
    this.#sweep();
  }

  /** Keeps the file of a record that is staged. @param fd - lent */
  keep(record: number, fd: number): void {
    const records = this.#records;
    if (records.failed !== null) return;
    if (this.#kept.size === MAX_KEPT) {
      records.fail(`it has ${MAX_KEPT} pieces of host memory, and no more are kept`);
      return;
    }
    records.spare = record + 1;
    const lent = new Fd(this.#sys, fd);
    try {
      if (!this.#store.keep(name(record), lent)) records.fail('nobody keeps its memory');
    } finally {
      lent.take();
    }
    this.#kept.add(record);
    records.stageSpare(0);
  }

  /** The file of a record is not wanted any more: notes it for the next commit, behind which `dropped` is to be called. */
  stageDrop(record: number): void {
    this.#records.stageSpare(record + 1);
  }

  /** Forgets what `stageDrop` named. */
  dropped(): void {
    if (this.#records.failed === null && this.#records.spare !== 0) this.#sweep();
  }

  /** The file of a record; null: it was lost. @throws SysError EMFILE */
  take(record: number): Fd | null {
    return this.#store.take(name(record));
  }

  /** Nobody is going to take them: they are the guest's alone again. */
  forgetAll(): void {
    for (const record of this.#kept) this.#store.forget(name(record));
    this.#kept.clear();
  }

  #sweep(): void {
    const { spare } = this.#records;
    if (spare === 0) return;
    this.#store.forget(name(spare - 1));
    this.#kept.delete(spare - 1);
    this.#records.spare = 0;
  }
}

function name(record: number): string {
  return `memory${record}`;
}
