/**
 * A region as a small program: who owns what, and when it dies. It says what a request must come to and which mappings are
 * there; it knows nothing of messages, queues or memory.
 */
import { EBADF, ECANCELED, EEXIST, EINVAL, EIO, ENOSPC } from '@oriel/sys';

/** What a mapping is asked to be; bytes. */
export interface ModelRequest {
  readonly shmOffset: number;
  readonly len: number;
  readonly fdOffset: number;
  readonly writable: boolean;
  readonly owner: number;
  /** The file ends before the mapping: the front-end will refuse it. */
  readonly pastEnd: boolean;
}

/** One mapping from its admission to its end. */
export interface ModelEntry extends ModelRequest {
  /** The mapping that it replaces when it is made. */
  readonly over: ModelEntry | null;
  /** `asked`: not answered. `going`: its unmapping is asked for. */
  phase: 'asked' | 'live' | 'going';
  /** Something has happened since that may end it unmade. */
  mayCancel: boolean;
  /** The connection has ended since: its answer may be lost. */
  mayBeLost: boolean;
  /** The rings stopped while its unmapping was on its way: it may have gone, or be due. */
  mayBeGone: boolean;
}

/** What the model is of. */
export interface ModelShape {
  readonly size: number;
  readonly pageSize: number;
  readonly maxMappings: number;
  readonly overlap: 'refuse' | 'replace';
  /** A device reset drops all mappings. */
  readonly resetClears: boolean;
}

/** The code under test has done what the model forbids. */
export class ModelViolation extends Error {
  override readonly name = 'ModelViolation';
}

export class RegionModel {
  readonly shape: ModelShape;
  /** Whether the front-end may be asked: a driver runs, the rings are stopped, nobody is connected. */
  state: 'running' | 'paused' | 'offline' = 'running';
  entries: ModelEntry[] = [];
  /** How often unanswered requests were given up: callers from before may be told -ECANCELED. */
  interruptions = 0;
  /** What requests to map came to, by errno; 0 for those that were made. */
  readonly outcomes = new Map<number, number>();

  constructor(shape: ModelShape) {
    this.shape = shape;
  }

  /** Nothing is on its way. */
  get quiet(): boolean {
    return this.entries.every(({ phase }) => phase === 'live');
  }

  /** A request to map. @returns the entry, or the error that must come inside the call */
  map(request: ModelRequest): ModelEntry | number {
    const admitted = this.#admit(request);
    if (typeof admitted === 'number') {
      this.#count(admitted);
    }
    return admitted;
  }

  #admit(request: ModelRequest): ModelEntry | number {
    const { size, pageSize, maxMappings, overlap } = this.shape;
    if (this.state !== 'running') {
      return -ECANCELED;
    }
    const { shmOffset, len, fdOffset } = request;
    const aligned = [shmOffset, len, fdOffset].every((value) => value >= 0 && value % pageSize === 0);
    if (!aligned || len === 0 || shmOffset + len > size) {
      return -EINVAL;
    }
    if (request.owner < 0) {
      return -EBADF;
    }
    const staying = this.entries.filter(({ phase }) => phase !== 'going');
    const under = staying.filter((entry) => overlaps(entry, request));
    const equal = under.length === 1 && under[0]!.shmOffset === shmOffset && under[0]!.len === len;
    const replaces = overlap === 'replace' && equal && under[0]!.phase === 'live' ? under[0]! : null;
    if (under.length > 0 && replaces === null) {
      return -EEXIST;
    }
    const replacing = staying.filter(({ phase, over }) => phase === 'asked' && over?.phase === 'live').length;
    if (replaces === null && staying.length - replacing >= maxMappings) {
      return -ENOSPC;
    }
    const entry: ModelEntry = {
      ...request,
      over: replaces,
      phase: 'asked',
      mayCancel: false,
      mayBeLost: false,
      mayBeGone: false,
    };
    this.entries.push(entry);
    return entry;
  }

  /** The caller of `map` was told. @throws ModelViolation */
  mapped(entry: ModelEntry, error: number): void {
    this.#count(error);
    if (error === 0) {
      if (entry.pastEnd) {
        throw new ModelViolation('mapped past the end of its file');
      }
      if (entry.phase === 'asked') {
        entry.phase = 'live';
      }
      this.#remove(entry.over);
      return;
    }
    const allowed = (error === -ECANCELED && entry.mayCancel) || (error === -EIO && (entry.pastEnd || entry.mayBeLost));
    if (!allowed) {
      throw new ModelViolation(`map answered with ${error}`);
    }
    this.#remove(entry);
  }

  /** Everything that a request to unmap is about. @returns it: gone once the caller is told 0 */
  unmap(wanted: (entry: ModelEntry) => boolean): ModelEntry[] {
    const going = this.entries.filter(wanted);
    for (const entry of going) {
      entry.mayCancel = true;
      entry.phase = 'going';
    }
    return going;
  }

  /** The caller of `unmap` was told. @param since - `interruptions` when it asked. @throws ModelViolation */
  unmapped(going: readonly ModelEntry[], error: number, since: number): void {
    if (error === -ECANCELED && since !== this.interruptions) {
      return;
    }
    if (error === -EIO && going.some(({ mayBeLost }) => mayBeLost)) {
      return;
    }
    if (error !== 0) {
      throw new ModelViolation(`unmap answered with ${error}`);
    }
    for (const entry of going) {
      this.#remove(entry);
    }
  }

  /** The rings stop: what was not sent ends. */
  pause(): void {
    this.state = 'paused';
    this.#interrupt();
    for (const entry of this.entries) {
      entry.mayBeGone = entry.phase === 'going';
    }
  }

  /** The front-end has dropped all mappings: a reset that clears. */
  dropAll(): void {
    this.#interrupt();
    this.entries = [];
  }

  /** The connection ends, by whosever doing: so do all mappings. */
  disconnect(): void {
    this.state = 'offline';
    for (const entry of this.entries) {
      entry.mayBeLost = true;
    }
    this.dropAll();
  }

  /**
   * Nothing is on its way any more.
   * @param held - the offsets that the ledger holds: it decides of what may be gone or due
   * @throws ModelViolation when a caller was never told
   */
  settled(held: ReadonlySet<number>): void {
    this.entries = this.entries.filter(({ mayBeGone, shmOffset }) => !mayBeGone || held.has(shmOffset));
    if (this.state === 'running') {
      this.entries = this.entries.filter(({ phase }) => phase !== 'going');
    }
    if (this.entries.some(({ phase }) => phase === 'asked')) {
      throw new ModelViolation('a map was never answered');
    }
  }

  /** What is there, by offset, as text: for comparing. */
  picture(): string {
    return this.entries
      .toSorted((a, b) => a.shmOffset - b.shmOffset)
      .map(({ shmOffset, len, fdOffset, writable, owner, phase }) => {
        const state = phase === 'going' ? 'unmapping' : 'live';
        return `${shmOffset}+${len}<${owner}:${fdOffset}${writable ? 'w' : 'r'} ${state}`;
      })
      .join(', ');
  }

  #count(outcome: number): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
  }

  #interrupt(): void {
    this.interruptions += 1;
    for (const entry of this.entries) {
      entry.mayCancel = true;
    }
  }

  #remove(entry: ModelEntry | null): void {
    if (entry !== null) {
      this.entries = this.entries.filter((other) => other !== entry);
    }
  }
}

function overlaps(a: { shmOffset: number; len: number }, b: { shmOffset: number; len: number }): boolean {
  return a.shmOffset < b.shmOffset + b.len && b.shmOffset < a.shmOffset + a.len;
}
