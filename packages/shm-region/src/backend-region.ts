/**
 * The back-end's region: the ledger plus the queue of requests to the front-end, over a transport. One rule for
 * callbacks: a refused request, and an unmap with nothing to do, call back inside the call; everything else calls back
 * later, from an answer, or inside the `suspend`, `forget`, `setTransport` or `unmap` that ends the wait. Every `done` is
 * called once, after the ledger has changed, and may itself make requests.
 */
import { ECANCELED, EINVAL, type Logger, silentLogger } from '@oriel/sys';
import { Ledger, type LedgerRecord, liesInside } from './ledger.ts';
import { checkLimits, type RegionLimits } from './limits.ts';
import { checkSize, isPageRange } from './range.ts';
import type { Done, LedgerEntry, MapRequest, RegionStats, ShmRegion } from './region.ts';
import type { MapTask } from './task-queue.ts';
import { TaskRunner } from './task-runner.ts';
import type { MapTransport, WireMapping } from './transport.ts';
import { settle, UnmapWait, waitsFor } from './unmap-wait.ts';

export interface BackendRegionOptions {
  readonly shmid: number;
  /** Bytes; a multiple of the page size. */
  readonly size: number;
  readonly limits: RegionLimits;
  /** Silent by default. */
  readonly log?: Logger;
}

/**
 * Life: `setTransport` at connection; `suspend()` when the rings stop; `resume()` when they start again; `forget()` when
 * the front-end dropped all (reset where the profile says so, disconnect).
 *
 * - `suspend` answers -ECANCELED to every caller whose request was not sent. A map then leaves no trace; an unmap stays
 *   due: its range is 'unmapping' and its message is the first thing sent at `resume`. What was sent keeps its state until
 *   its late answer, which counts, and calls `done`, also while suspended.
 * - While nothing may be sent, `map` answers -ECANCELED and `unmap` notes what is due; `done` then comes after the answer.
 *   So who was told -ECANCELED by `suspend` and must know when a range is free asks again.
 * - `forget` answers -ECANCELED to everybody and empties the ledger; late answers are then ignored.
 */
export class BackendRegion implements ShmRegion {
  readonly shmid: number;
  readonly size: number;
  readonly limits: RegionLimits;
  readonly #ledger: Ledger;
  readonly #tasks: TaskRunner;

  /** @throws ShmRegionError ERR_SHM_SIZE, ERR_SHM_LIMITS */
  constructor(options: BackendRegionOptions) {
    checkLimits(options.limits);
    checkSize(`region ${options.shmid}`, options.size, options.limits.pageSize);
    this.shmid = options.shmid;
    this.size = options.size;
    this.limits = options.limits;
    this.#ledger = new Ledger(options.size, options.limits);
    this.#tasks = new TaskRunner(options.shmid, this.#ledger, options.limits, options.log ?? silentLogger);
  }

  /** Requests were sent whose effect the guest does not see yet. */
  get busy(): boolean {
    return this.#tasks.outbox.busy;
  }

  get stats(): RegionStats {
    return this.#ledger.stats;
  }

  /** A new connection, or none: mappings belong to a connection, so another transport than before implies `forget()`. */
  setTransport(transport: MapTransport | null): void {
    const sent = this.#tasks.outbox.setTransport(transport);
    if (sent !== null) {
      this.#drop(sent);
    }
    this.#tasks.run();
  }

  map(request: MapRequest, done: Done): void {
    if (!this.#tasks.outbox.open) {
      done(-ECANCELED);
      return;
    }
    const record = this.#ledger.admit(request);
    if (typeof record === 'number') {
      this.#tasks.refused('map', request, record);
      done(record);
      return;
    }
    this.#tasks.queue.addMap(record, request, done);
    this.#tasks.run();
  }

  unmap(shmOffset: number, len: number, done: Done): void {
    if (!isPageRange(shmOffset, len, this.size, this.limits.pageSize)) {
      this.#tasks.refused('unmap', { shmOffset, len, label: '' }, -EINVAL);
      done(-EINVAL);
      return;
    }
    this.#unmapWhere((record) => liesInside(record, shmOffset, len), done);
  }

  unmapOwner(owner: object, done: Done): void {
    this.#unmapWhere((record) => record.owner === owner, done);
  }

  unmapAll(done: Done): void {
    this.#unmapWhere(() => true, done);
  }

  adopt(request: MapRequest): number {
    const record = this.#ledger.admit(request);
    if (typeof record === 'number') {
      this.#tasks.refused('adopt', request, record);
      return record;
    }
    this.#ledger.sent(record);
    settle(this.#ledger.mapped(record), 0);
    return 0;
  }

  unmapUncertain({ fdOffset, shmOffset, len, writable }: Omit<WireMapping, 'shmid'>): void {
    if (this.limits.overlap === 'replace') {
      return;
    }
    this.#tasks.outbox.addStray({ shmid: this.shmid, fdOffset, shmOffset, len, writable });
    this.#tasks.run();
  }

  entries(shmOffset = 0, len = this.size - shmOffset): readonly LedgerEntry[] {
    return this.#ledger.entries(shmOffset, len);
  }

  /** The rings stop: nothing is sent until `resume`. */
  suspend(): void {
    if (this.#tasks.outbox.suspended) {
      return;
    }
    this.#tasks.outbox.suspended = true;
    const maps = this.#tasks.queue.takeMaps();
    const waits = waitsFor(this.#tasks.queue.unmaps.flatMap(({ records }) => records));
    for (const { record } of maps) {
      this.#ledger.cancel(record);
    }
    for (const task of maps) {
      task.done(-ECANCELED);
    }
    for (const wait of waits) {
      wait.end(-ECANCELED);
    }
  }

  /** The rings run: unmaps that are due go first. */
  resume(): void {
    this.#tasks.outbox.suspended = false;
    this.#tasks.run();
  }

  /** The front-end dropped all mappings: so does the ledger, without a message. */
  forget(): void {
    this.#drop(this.#tasks.outbox.forget());
  }

  /** @param sent - maps that wait for an answer */
  #drop(sent: readonly MapTask[]): void {
    const maps = [...sent, ...this.#tasks.queue.maps];
    const waits = waitsFor(this.#ledger.selectHeld(() => true));
    this.#tasks.queue.clear();
    this.#ledger.clear();
    for (const task of maps) {
      task.done(-ECANCELED);
    }
    for (const wait of waits) {
      wait.end(-ECANCELED);
    }
  }

  #unmapWhere(wanted: (record: LedgerRecord) => boolean, done: Done): void {
    const cancelled = this.#tasks.queue.maps.filter(({ record }) => wanted(record));
    for (const task of cancelled) {
      this.#tasks.cancel(task);
    }
    const targets = this.#ledger.selectHeld(wanted);
    const wait = new UnmapWait(targets.length, done);
    const fresh: LedgerRecord[] = [];
    for (const record of targets) {
      record.waits.push(wait);
      if (!record.doomed) {
        fresh.push(record);
      }
      this.#ledger.doom(record);
    }
    this.#tasks.queue.addUnmaps(fresh, this.limits.unmap === 'range');
    this.#tasks.run();
    for (const task of cancelled) {
      task.done(-ECANCELED);
    }
    if (targets.length === 0) {
      done(0);
    }
  }
}
