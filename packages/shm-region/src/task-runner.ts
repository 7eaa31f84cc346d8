/** Sends a region's tasks to the front-end, in order, and takes what they come to into the ledger. */
import { ECANCELED, type Logger } from '@oriel/sys';
import { printable } from './label.ts';
import type { Ledger, LedgerRecord } from './ledger.ts';
import type { RegionLimits } from './limits.ts';
import { Outbox } from './outbox.ts';
import type { MapRequest } from './region.ts';
import { type MapTask, TaskQueue, type UnmapTask } from './task-queue.ts';
import type { WireMapping } from './transport.ts';
import { settle, waitsFor } from './unmap-wait.ts';

/** What a refusal names in the log. */
type Refusable = Pick<MapRequest, 'shmOffset' | 'len' | 'label'>;

/** The tasks of one region. */
export class TaskRunner {
  readonly queue = new TaskQueue();
  readonly outbox: Outbox<MapTask>;
  readonly #shmid: number;
  readonly #ledger: Ledger;
  readonly #log: Logger;
  #running = false;

  constructor(shmid: number, ledger: Ledger, { maxInFlight }: RegionLimits, log: Logger) {
    this.#shmid = shmid;
    this.#ledger = ledger;
    this.#log = log;
    this.outbox = new Outbox(maxInFlight, () => this.run());
  }

  /** A map that has not gone will not: nobody hears of it here. */
  cancel(task: MapTask): void {
    this.#ledger.cancel(task.record);
    this.queue.remove(task);
  }

  /** Sends what may be sent, in order. Callbacks below may make requests: those are queued and sent by the loop that runs. */
  run(): void {
    if (this.#running) {
      return;
    }
    this.#running = true;
    try {
      this.outbox.unmapStrays();
      let moved = true;
      while (moved && this.outbox.free) {
        const task = this.queue.first;
        if (task === undefined) {
          break;
        }
        moved = task.kind === 'map' ? this.#tryMap(task) : this.#tryUnmap(task);
      }
    } finally {
      this.#running = false;
    }
  }

  /** Counts a refusal, and says it. */
  refused(what: string, { shmOffset, len, label }: Refusable, error: number): void {
    if (error === -ECANCELED) {
      return;
    }
    this.#ledger.stats.refused += 1;
    this.#log.warn(`${what} refused`, { shmid: this.#shmid, shmOffset, len, label: printable(label), error });
  }

  /** @returns false when the task must wait for an answer */
  #tryMap(task: MapTask): boolean {
    const { record, request } = task;
    if (!this.#ledger.sendable(record)) {
      return false;
    }
    const verdict = request.before === undefined ? 0 : request.before();
    // `before` is the caller's code: it may have unmapped, suspended or forgotten this very request.
    if (record.place !== 'planned' || !this.outbox.open) {
      return true;
    }
    if (verdict !== 0) {
      this.cancel(task);
      this.refused('map', request, verdict);
      task.done(verdict);
      return true;
    }
    this.queue.remove(task);
    this.#ledger.sent(record);
    this.outbox.map(task, this.#wire(record, record.len), request.fd, (error, held) =>
      this.#mapAnswered(task, error, held),
    );
    return true;
  }

  /** @returns false when the task must wait for an answer */
  #tryUnmap(task: UnmapTask): boolean {
    const held = task.records.filter((record) => record.place !== 'gone');
    // Its own MAP, or one that replaces it, is not answered yet.
    if (held.some((record) => record.place === 'aside' || record.state === 'mapping')) {
      return false;
    }
    // What went meanwhile may have given its place to a mapping that is to stay: nothing is unmapped across it.
    const run = this.queue.takeRun(held);
    if (run.length === 0) {
      return true;
    }
    const first = run[0]!;
    const last = run.at(-1)!;
    this.outbox.unmap(this.#wire(first, last.shmOffset + last.len - first.shmOffset), (error) =>
      this.#unmapAnswered(run, error),
    );
    return true;
  }

  #mapAnswered(task: MapTask, error: number, held: boolean): void {
    const { record } = task;
    try {
      if (!held) {
        return;
      }
      if (error === 0) {
        settle(this.#ledger.mapped(record), 0);
      } else {
        this.#ledger.failed(record);
        this.refused('map', record, error);
        settle([record], 0);
      }
      task.done(error);
    } finally {
      // Also after a callback that throws: the others go on.
      this.run();
    }
  }

  #unmapAnswered(records: readonly LedgerRecord[], error: number): void {
    const held = records.filter((record) => record.place !== 'gone');
    if (error === -ECANCELED && held.length > 0) {
      this.#unmapReturned(held);
      return;
    }
    for (const record of held) {
      this.#ledger.unmapped(record);
      if (error === 0) {
        this.#ledger.stats.unmaps += 1;
      } else {
        this.refused('unmap', record, error);
      }
    }
    try {
      settle(held, error);
    } finally {
      this.run();
    }
  }

  /** The transport did not send it after all (the rings had stopped): still due, and before what was asked for later. */
  #unmapReturned(records: LedgerRecord[]): void {
    this.queue.putBack(records);
    try {
      for (const wait of waitsFor(records)) {
        wait.end(-ECANCELED);
      }
    } finally {
      this.run();
    }
  }

  #wire(record: LedgerRecord, len: number): WireMapping {
    const { fdOffset, shmOffset, writable } = record;
    return { shmid: this.#shmid, fdOffset, shmOffset, len, writable };
  }
}
