/**
 * The back-end's region: the ledger plus the queue of requests to the front-end, over a transport. One rule for
 * callbacks: a refused request, and an unmap with nothing to do, call back inside the call; everything else calls back
 * later, from an answer, or inside the `suspend`, `forget`, `setTransport` or `unmap` that ends the wait. Every `done` is
 * called once, after the ledger has changed, and may itself make requests.
 */
import { ECANCELED, EINVAL, type Logger, silentLogger } from '@oriel/sys';
import { printable } from './label.ts';
import { Ledger, type LedgerRecord, liesInside } from './ledger.ts';
import { checkLimits, type RegionLimits } from './limits.ts';
import { checkSize, isPageRange } from './range.ts';
import type { Done, LedgerEntry, MapRequest, RegionStats, ShmRegion } from './region.ts';
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

interface MapTask {
  readonly kind: 'map';
  readonly record: LedgerRecord;
  readonly request: MapRequest;
  readonly done: Done;
}

interface UnmapTask {
  readonly kind: 'unmap';
  /** Neighbours, in order; more than one only where one UNMAP may name any range. */
  readonly records: LedgerRecord[];
}

/** Requests that one connection has not answered. */
interface Flight {
  requests: number;
  /** Maps among them whose mappings the region has forgotten meanwhile. */
  forgottenMaps: number;
}

function newFlight(): Flight {
  return { requests: 0, forgottenMaps: 0 };
}

/** What a refusal names in the log. */
type Refusable = Pick<MapRequest, 'shmOffset' | 'len' | 'label'>;

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
  readonly #log: Logger;
  #queue: (MapTask | UnmapTask)[] = [];
  /** Sent maps whose caller waits for the answer. */
  readonly #sentMaps = new Set<MapTask>();
  /** Mappings that the front-end made after they were forgotten: it carried a request out behind its reset. */
  #strays: WireMapping[] = [];
  #transport: MapTransport | null = null;
  /** What the present connection has not answered; a new connection gets a new object, so late answers count nowhere. */
  #flight = newFlight();
  #suspended = false;
  #pumping = false;

  /** @throws ShmRegionError ERR_SHM_SIZE, ERR_SHM_LIMITS */
  constructor(options: BackendRegionOptions) {
    checkLimits(options.limits);
    checkSize(`region ${options.shmid}`, options.size, options.limits.pageSize);
    this.shmid = options.shmid;
    this.size = options.size;
    this.limits = options.limits;
    this.#ledger = new Ledger(options.size, options.limits);
    this.#log = options.log ?? silentLogger;
  }

  /** Requests were sent whose effect the guest does not see yet. */
  get busy(): boolean {
    return this.#flight.requests > 0;
  }

  get stats(): RegionStats {
    return this.#ledger.stats;
  }

  /** A new connection, or none: mappings belong to a connection, so another transport than before implies `forget()`. */
  setTransport(transport: MapTransport | null): void {
    if (transport !== this.#transport) {
      this.#transport = transport;
      this.#flight = newFlight();
      this.#drop();
    }
    this.#pump();
  }

  map(request: MapRequest, done: Done): void {
    if (!this.#open) {
      done(-ECANCELED);
      return;
    }
    const record = this.#ledger.admit(request);
    if (typeof record === 'number') {
      this.#refused('map', request, record);
      done(record);
      return;
    }
    this.#queue.push({ kind: 'map', record, request, done });
    this.#pump();
  }

  unmap(shmOffset: number, len: number, done: Done): void {
    if (!isPageRange(shmOffset, len, this.size, this.limits.pageSize)) {
      this.#refused('unmap', { shmOffset, len, label: '' }, -EINVAL);
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
      this.#refused('adopt', request, record);
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
    this.#strays.push({ shmid: this.shmid, fdOffset, shmOffset, len, writable });
    this.#pump();
  }

  entries(shmOffset = 0, len = this.size - shmOffset): readonly LedgerEntry[] {
    return this.#ledger.entries(shmOffset, len);
  }

  /** The rings stop: nothing is sent until `resume`. */
  suspend(): void {
    if (this.#suspended) {
      return;
    }
    this.#suspended = true;
    const maps = this.#queue.filter((task) => task.kind === 'map');
    const unmaps = this.#queue.filter((task) => task.kind === 'unmap');
    const waits = waitsFor(unmaps.flatMap(({ records }) => records));
    for (const { record } of maps) {
      this.#ledger.cancel(record);
    }
    this.#queue = unmaps;
    for (const task of maps) {
      task.done(-ECANCELED);
    }
    for (const wait of waits) {
      wait.end(-ECANCELED);
    }
  }

  /** The rings run: unmaps that are due go first. */
  resume(): void {
    this.#suspended = false;
    this.#pump();
  }

  /** The front-end dropped all mappings: so does the ledger, without a message. */
  forget(): void {
    this.#flight.forgottenMaps += this.#sentMaps.size;
    this.#drop();
  }

  get #open(): boolean {
    return !this.#suspended && this.#transport?.ready === true;
  }

  get #hasRoom(): boolean {
    return this.#flight.requests < this.limits.maxInFlight;
  }

  #drop(): void {
    const maps = [...this.#sentMaps, ...this.#queue.filter((task) => task.kind === 'map')];
    const waits = waitsFor(this.#ledger.selectHeld(() => true));
    this.#sentMaps.clear();
    this.#strays = [];
    this.#queue = [];
    this.#ledger.clear();
    for (const task of maps) {
      task.done(-ECANCELED);
    }
    for (const wait of waits) {
      wait.end(-ECANCELED);
    }
  }

  #unmapWhere(wanted: (record: LedgerRecord) => boolean, done: Done): void {
    const cancelled: MapTask[] = [];
    for (const task of this.#queue) {
      if (task.kind === 'map' && wanted(task.record)) {
        cancelled.push(task);
      }
    }
    for (const task of cancelled) {
      this.#cancel(task);
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
    this.#enqueueUnmaps(fresh);
    this.#pump();
    for (const task of cancelled) {
      task.done(-ECANCELED);
    }
    if (targets.length === 0) {
      done(0);
    }
  }

  #enqueueUnmaps(records: readonly LedgerRecord[]): void {
    let end = -1;
    let last: LedgerRecord[] = [];
    for (const record of records) {
      if (this.limits.unmap === 'range' && record.shmOffset === end) {
        last.push(record);
      } else {
        last = [record];
        this.#queue.push({ kind: 'unmap', records: last });
      }
      end = record.shmOffset + record.len;
    }
  }

  #cancel(task: MapTask): void {
    this.#ledger.cancel(task.record);
    this.#queue.splice(this.#queue.indexOf(task), 1);
  }

  /** Sends what may be sent, in order. Callbacks below may make requests: those are queued and sent by the loop that runs. */
  #pump(): void {
    if (this.#pumping) {
      return;
    }
    this.#pumping = true;
    try {
      this.#unmapStrays();
      let moved = true;
      // What a forgotten map came to decides whether its place is free.
      while (moved && this.#open && this.#flight.forgottenMaps === 0 && this.#hasRoom) {
        const task = this.#queue[0];
        if (task === undefined) {
          break;
        }
        moved = task.kind === 'map' ? this.#tryMap(task) : this.#tryUnmap(task);
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** Before anything else: a request for the same range would be refused. That a front-end has dropped them is no harm. */
  #unmapStrays(): void {
    const flight = this.#flight;
    const strays = this.#strays;
    while (this.#open && strays.length > 0 && this.#hasRoom) {
      const stray = strays.shift()!;
      flight.requests += 1;
      this.#transport?.unmap(stray, (error) => {
        flight.requests -= 1;
        // Not sent after all: the rings had stopped.
        if (error === -ECANCELED) {
          strays.push(stray);
        }
        this.#pump();
      });
    }
  }

  /** @returns false when the task must wait for an answer */
  #tryMap(task: MapTask): boolean {
    const { record, request } = task;
    if (!this.#ledger.sendable(record)) {
      return false;
    }
    const verdict = request.before === undefined ? 0 : request.before();
    // `before` is the caller's code: it may have unmapped, suspended or forgotten this very request.
    if (record.place !== 'planned' || !this.#open) {
      return true;
    }
    if (verdict !== 0) {
      this.#cancel(task);
      this.#refused('map', request, verdict);
      task.done(verdict);
      return true;
    }
    this.#queue.splice(this.#queue.indexOf(task), 1);
    this.#ledger.sent(record);
    this.#sentMaps.add(task);
    const flight = this.#flight;
    flight.requests += 1;
    const wire = this.#wire(record, record.len);
    this.#transport?.map(wire, request.fd, (error) => {
      flight.requests -= 1;
      if (flight === this.#flight && !this.#sentMaps.has(task)) {
        flight.forgottenMaps -= 1;
        if (error === 0) {
          this.#strays.push(wire);
        }
      }
      this.#mapAnswered(task, error);
    });
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
    const run = held.splice(0, neighbours(held));
    if (held.length > 0) {
      this.#queue[0] = { kind: 'unmap', records: held };
    } else {
      this.#queue.shift();
    }
    if (run.length === 0) {
      return true;
    }
    const first = run[0]!;
    const last = run.at(-1)!;
    const flight = this.#flight;
    flight.requests += 1;
    this.#transport?.unmap(this.#wire(first, last.shmOffset + last.len - first.shmOffset), (error) => {
      flight.requests -= 1;
      this.#unmapAnswered(run, error);
    });
    return true;
  }

  #mapAnswered(task: MapTask, error: number): void {
    const { record } = task;
    try {
      if (!this.#sentMaps.delete(task)) {
        return;
      }
      if (error === 0) {
        settle(this.#ledger.mapped(record), 0);
      } else {
        this.#ledger.failed(record);
        this.#refused('map', record, error);
        settle([record], 0);
      }
      task.done(error);
    } finally {
      // Also after a callback that throws: the others go on.
      this.#pump();
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
        this.#refused('unmap', record, error);
      }
    }
    try {
      settle(held, error);
    } finally {
      this.#pump();
    }
  }

  /** The transport did not send it after all (the rings had stopped): still due, and before what was asked for later. */
  #unmapReturned(records: LedgerRecord[]): void {
    this.#queue.unshift({ kind: 'unmap', records });
    try {
      for (const wait of waitsFor(records)) {
        wait.end(-ECANCELED);
      }
    } finally {
      this.#pump();
    }
  }

  #wire(record: LedgerRecord, len: number): WireMapping {
    const { fdOffset, shmOffset, writable } = record;
    return { shmid: this.shmid, fdOffset, shmOffset, len, writable };
  }

  #refused(what: string, { shmOffset, len, label }: Refusable, error: number): void {
    if (error === -ECANCELED) {
      return;
    }
    this.#ledger.stats.refused += 1;
    this.#log.warn(`${what} refused`, { shmid: this.shmid, shmOffset, len, label: printable(label), error });
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
