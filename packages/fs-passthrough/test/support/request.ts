/** An `Operation` and a `DirSink` without a session behind them. */
import { type DirSink, Entry, type Name, type Operation, PENDING } from '@oriel/fuse';
import type { Address } from '@oriel/sys';

const NO_NAME: Name = { addr: 0, len: 0, key: () => '', toString: () => '' };

/** One request; keeps what it was completed with. */
export class TestOperation implements Operation {
  readonly opcode = 0;
  readonly nodeid = 0;
  uid = 0;
  gid = 0;
  readonly pid = 0;
  readonly name = NO_NAME;
  readonly name2 = NO_NAME;
  readonly umask = 0;
  supplementaryGroup = -1;
  readonly security = null;
  readonly entry = new Entry();
  fh = -1;
  openFlags = 0;
  offset = 0;
  readonly size = 0;
  readonly targetNodeid = 0;
  context: unknown;
  readonly intent = null;
  /** What `complete` was called with. */
  readonly results: number[] = [];

  bytes(_addr: Address, _len: number): Uint8Array {
    throw new RangeError('a test request has no memory');
  }

  complete(result: number): void {
    this.results.push(result);
  }

  /** The result of a method: its own, or after PENDING what came by `complete`, which must be there by now. */
  settle(result: number): number {
    if (result !== PENDING) {
      return result;
    }
    if (this.results.length !== 1) {
      throw new Error(`completed ${this.results.length} times`);
    }
    return this.results[0]!;
  }
}

/** A directory record as it was added. */
export interface DirRecord {
  readonly name: string;
  readonly ino: bigint;
  readonly cookieLo: number;
  readonly cookieHi: number;
  readonly type: number;
  /** READDIRPLUS: 0 for a record without attributes. */
  readonly nodeid: number;
  readonly mode: number;
}

const RECORD_HEAD = 24;
const PLUS_HEAD = 152;

/** Counts bytes as a session does. */
export class TestSink implements DirSink {
  readonly records: DirRecord[] = [];
  readonly #plus: boolean;
  room: number;
  /** Called before a record is added. */
  beforeAdd: (name: string) => void = () => {};

  constructor(room: number, plus: boolean) {
    this.room = room;
    this.#plus = plus;
  }

  need(nameLen: number): number {
    return ((this.#plus ? PLUS_HEAD : RECORD_HEAD) + nameLen + 7) & ~7;
  }

  add(
    name: Uint8Array,
    nameOffset: number,
    nameLen: number,
    inoLo: number,
    inoHi: number,
    cookieLo: number,
    cookieHi: number,
    type: number,
    entry: Entry | null,
  ): boolean {
    const need = this.need(nameLen);
    if (need > this.room) {
      return false;
    }
    this.room -= need;
    this.records.push({
      name: Buffer.from(name.subarray(nameOffset, nameOffset + nameLen)).toString('latin1'),
      ino: (BigInt(inoHi) << 32n) | BigInt(inoLo),
      cookieLo,
      cookieHi,
      type,
      nodeid: entry?.nodeid ?? 0,
      mode: entry?.attr.mode ?? 0,
    });
    return true;
  }
}
