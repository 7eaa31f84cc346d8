/** What a region has not sent yet: maps and unmaps, in the order in which they are to go. */
import type { LedgerRecord } from './ledger.ts';
import type { Done, MapRequest } from './region.ts';

export interface MapTask {
  readonly kind: 'map';
  readonly record: LedgerRecord;
  readonly request: MapRequest;
  readonly done: Done;
}

export interface UnmapTask {
  readonly kind: 'unmap';
  /** Neighbours, in order; more than one only where one UNMAP may name any range. */
  readonly records: LedgerRecord[];
}

/** Tasks in their order. */
export class TaskQueue {
  #tasks: (MapTask | UnmapTask)[] = [];

  get first(): MapTask | UnmapTask | undefined {
    return this.#tasks[0];
  }

  get maps(): readonly MapTask[] {
    return this.#tasks.filter((task) => task.kind === 'map');
  }

  get unmaps(): readonly UnmapTask[] {
    return this.#tasks.filter((task) => task.kind === 'unmap');
  }

  addMap(record: LedgerRecord, request: MapRequest, done: Done): void {
    this.#tasks.push({ kind: 'map', record, request, done });
  }

  /** @param together - neighbours go in one message */
  addUnmaps(records: readonly LedgerRecord[], together: boolean): void {
    let end = -1;
    let last: LedgerRecord[] = [];
    for (const record of records) {
      if (together && record.shmOffset === end) {
        last.push(record);
      } else {
        last = [record];
        this.#tasks.push({ kind: 'unmap', records: last });
      }
      end = record.shmOffset + record.len;
    }
  }

  /** An unmap that was not sent after all comes before what was asked for later. */
  putBack(records: LedgerRecord[]): void {
    this.#tasks.unshift({ kind: 'unmap', records });
  }

  remove(task: MapTask): void {
    this.#tasks.splice(this.#tasks.indexOf(task), 1);
  }

  /** Takes all maps out. */
  takeMaps(): readonly MapTask[] {
    const { maps } = this;
    this.#tasks = [...this.unmaps];
    return maps;
  }

  /**
   * Takes what one message can unmap off the first task, an unmap; what is left of it stays the first.
   * @param held - those of its records that still are in the ledger
   */
  takeRun(held: readonly LedgerRecord[]): readonly LedgerRecord[] {
    const count = neighbours(held);
    if (count < held.length) {
      this.#tasks[0] = { kind: 'unmap', records: held.slice(count) };
    } else {
      this.#tasks.shift();
    }
    return held.slice(0, count);
  }

  clear(): void {
    this.#tasks = [];
  }
}

/** How many records from the first on touch each other. */
function neighbours(records: readonly LedgerRecord[]): number {
  let count = Math.min(1, records.length);
  while (
    count < records.length &&
    records[count]!.shmOffset === records[count - 1]!.shmOffset + records[count - 1]!.len
  ) {
    count += 1;
  }
  return count;
}
