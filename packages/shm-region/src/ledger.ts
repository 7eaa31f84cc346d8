/**
 * The ledger of a region: who is mapped where, what is asked for, and what the front-end bears. It decides and remembers;
 * `BackendRegion` sends the messages.
 *
 * Two tables, neither with an overlap in itself: `planned` holds maps that wait for their turn, `held` what was sent, up
 * to the answer of its UNMAP. A planned map may lie over held ones only when those are doomed (an unmap stands before it
 * in the queue) or when it replaces an equal one.
 */
import { isSafeUnsigned } from '@oriel/layout';
import { EBADF, EEXIST, EINVAL, ENOSPC } from '@oriel/sys';
import type { RegionLimits } from './limits.ts';
import { isPageRange } from './range.ts';
import { RangeTable } from './range-table.ts';
import type { LedgerEntry, MapRequest, RegionStats } from './region.ts';
import type { UnmapWait } from './unmap-wait.ts';

/** A mapping from its admission to its end. Only the ledger changes it, but for `waits`. */
export class LedgerRecord implements LedgerEntry {
  readonly shmOffset: number;
  readonly len: number;
  readonly fdOffset: number;
  readonly writable: boolean;
  readonly owner: object;
  readonly label: string;
  state: LedgerEntry['state'] = 'mapping';
  /** `aside`: a replacement was sent and is not answered; the record comes back if that fails. */
  place: 'planned' | 'held' | 'aside' | 'gone' = 'planned';
  /** An unmap of it is in the queue or in flight. */
  doomed = false;
  /** The live record that this one replaces when it is mapped. */
  replaces: LedgerRecord | null;
  /** A planned map will replace this one. */
  toBeReplaced = false;
  /** Who wants to know when it is gone. */
  waits: UnmapWait[] = [];

  constructor(request: MapRequest, replaces: LedgerRecord | null) {
    this.shmOffset = request.shmOffset;
    this.len = request.len;
    this.fdOffset = request.fdOffset;
    this.writable = request.writable;
    this.owner = request.owner;
    this.label = request.label;
    this.replaces = replaces;
  }
}

/** Counters behind `RegionStats`. */
type Counters = { -readonly [K in keyof RegionStats]: RegionStats[K] };

export class Ledger {
  readonly size: number;
  readonly limits: RegionLimits;
  readonly stats: Counters = { mapped: 0, mappedBytes: 0, maps: 0, unmaps: 0, refused: 0 };
  readonly #planned = new RangeTable<LedgerRecord>();
  readonly #held = new RangeTable<LedgerRecord>();

  constructor(size: number, limits: RegionLimits) {
    this.size = size;
    this.limits = limits;
  }

  /** Checks a map request and plans it. @returns the record, or -EINVAL, -EBADF, -EEXIST or -ENOSPC with nothing changed */
  admit(request: MapRequest): LedgerRecord | number {
    const { shmOffset, len, fdOffset, fd } = request;
    const { pageSize } = this.limits;
    if (!isPageRange(shmOffset, len, this.size, pageSize)) {
      return -EINVAL;
    }
    if (!isPageRange(fdOffset, len, Number.MAX_SAFE_INTEGER, pageSize)) {
      return -EINVAL;
    }
    if (!isSafeUnsigned(fd)) {
      return -EBADF;
    }
    if (this.#planned.overlaps(shmOffset, len)) {
      return -EEXIST;
    }
    let replaces: LedgerRecord | null = null;
    for (const held of this.#over(request)) {
      if (held.doomed && !mayLeaveItsPlaceTaken(held)) {
        continue;
      }
      if (!this.#replaceable(held, request)) {
        return -EEXIST;
      }
      replaces = held;
    }
    if (replaces === null && !this.#roomForOne()) {
      return -ENOSPC;
    }
    const record = new LedgerRecord(request, replaces);
    if (replaces !== null) {
      replaces.toBeReplaced = true;
    }
    this.#planned.insert(record);
    return record;
  }

  /** True when nothing that the front-end may still hold is in the way of a planned record. */
  sendable(record: LedgerRecord): boolean {
    for (const held of this.#over(record)) {
      if (held !== record.replaces) {
        return false;
      }
    }
    return record.replaces !== null || this.#held.size < this.limits.maxMappings;
  }

  /** A planned record was sent. */
  sent(record: LedgerRecord): void {
    const old = record.replaces;
    this.#planned.remove(record);
    if (old !== null) {
      this.#held.remove(old);
      old.place = 'aside';
      old.toBeReplaced = false;
    }
    this.#held.insert(record);
    record.place = 'held';
  }

  /** The front-end mapped it. @returns what it replaced, now gone: one record or none */
  mapped(record: LedgerRecord): LedgerRecord[] {
    const old = record.replaces;
    record.replaces = null;
    record.state = record.doomed ? 'unmapping' : 'live';
    this.stats.maps += 1;
    this.#count(record, 1);
    if (old === null) {
      return [];
    }
    old.place = 'gone';
    this.#count(old, -1);
    return [old];
  }

  /** The front-end refused a sent record; what it would have replaced is back. */
  failed(record: LedgerRecord): void {
    const old = record.replaces;
    this.#held.remove(record);
    record.place = 'gone';
    record.replaces = null;
    if (old !== null) {
      old.place = 'held';
      this.#held.insert(old);
    }
  }

  /** A planned record will not be sent. */
  cancel(record: LedgerRecord): void {
    this.#planned.remove(record);
    record.place = 'gone';
    if (record.replaces !== null) {
      record.replaces.toBeReplaced = false;
    }
    record.replaces = null;
  }

  /** An unmap of a held record is asked for. */
  doom(record: LedgerRecord): void {
    record.doomed = true;
    if (record.state === 'live') {
      record.state = 'unmapping';
    }
  }

  /** The unmap of a held record was answered; also after a refusal, since a front-end refuses only what it does not hold. */
  unmapped(record: LedgerRecord): void {
    this.#held.remove(record);
    record.place = 'gone';
    this.#count(record, -1);
  }

  /** What was sent and is wanted, in order of offset, each followed by what it would replace. */
  selectHeld(wanted: (record: LedgerRecord) => boolean): LedgerRecord[] {
    const found: LedgerRecord[] = [];
    for (const record of this.#held.items) {
      if (wanted(record)) {
        found.push(record);
      }
      if (record.replaces !== null && wanted(record.replaces)) {
        found.push(record.replaces);
      }
    }
    return found;
  }

  /** Everything wholly inside a range, planned or held, in order of offset. */
  entries(shmOffset: number, len: number): LedgerRecord[] {
    const inside = (record: LedgerRecord) => liesInside(record, shmOffset, len);
    const found = this.#held.items.filter(inside);
    if (this.#planned.size === 0) {
      return found;
    }
    return found.concat(this.#planned.items.filter(inside)).sort((a, b) => a.shmOffset - b.shmOffset);
  }

  /** Forgets everything. */
  clear(): void {
    for (const record of this.#planned.items) {
      record.place = 'gone';
    }
    for (const record of this.#held.items) {
      record.place = 'gone';
      if (record.replaces !== null) {
        record.replaces.place = 'gone';
      }
    }
    this.#planned.clear();
    this.#held.clear();
    this.stats.mapped = 0;
    this.stats.mappedBytes = 0;
  }

  *#over(range: { shmOffset: number; len: number }): Iterable<LedgerRecord> {
    const end = range.shmOffset + range.len;
    const { items } = this.#held;
    for (let i = this.#held.indexFrom(range.shmOffset); i < items.length && items[i]!.shmOffset < end; i += 1) {
      yield items[i]!;
    }
  }

  #replaceable(held: LedgerRecord, request: MapRequest): boolean {
    if (this.limits.overlap !== 'replace' || held.state !== 'live') {
      return false;
    }
    return held.shmOffset === request.shmOffset && held.len === request.len;
  }

  /** Counts what will be there once the queue has been worked off: the doomed and the replaced no longer. */
  #roomForOne(): boolean {
    const { maxMappings } = this.limits;
    let expected = this.#planned.size + this.#held.size;
    if (expected < maxMappings) {
      return true;
    }
    for (const held of this.#held.items) {
      if ((held.doomed && !mayLeaveItsPlaceTaken(held)) || held.toBeReplaced) {
        expected -= 1;
      }
    }
    return expected < maxMappings;
  }

  #count(record: LedgerRecord, sign: 1 | -1): void {
    this.stats.mapped += sign;
    this.stats.mappedBytes += sign * record.len;
  }
}

/** True when something else comes back where a record stood, if the front-end refuses it: what it was to replace, wanted still. */
function mayLeaveItsPlaceTaken(record: LedgerRecord): boolean {
  return record.replaces?.doomed === false;
}

/** True when the record lies wholly inside the range. */
export function liesInside(record: { shmOffset: number; len: number }, shmOffset: number, len: number): boolean {
  return record.shmOffset >= shmOffset && record.shmOffset + record.len <= shmOffset + len;
}
