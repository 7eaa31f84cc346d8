/** How a session moves to another host: what it says of itself, and what its Filesystem says, in records. */

/** Bytes of a Filesystem's record at most. */
export const MAX_STATE_RECORD = 8192;

/** What INIT agreed. */
export interface SessionState {
  /** The request behind its header. */
  readonly init: Uint8Array;
  /** Flags of the reply. */
  readonly flagsLo: number;
  readonly flagsHi: number;
  /** Of a request. */
  readonly maxPages: number;
}

/** Tells a Filesystem's state, a record at a call: a call does not take long. */
export interface StateRecords extends Disposable {
  /** Writes the next record. @param into - `MAX_STATE_RECORD` bytes @returns its bytes, 0: there is no more, or a negative errno */
  next(into: Uint8Array): number;
}

/** Takes a Filesystem's state, record by record. Ended early, it leaves a Filesystem that `destroy` brings to its beginning. */
export interface StateTaker extends Disposable {
  /** @param record - lent; hostile input @returns 0, or a negative errno: the state is refused */
  take(record: Uint8Array): number;
  /** There is no more. @returns as `take` */
  end(): number;
}

/** A Filesystem whose sessions can move. What it names by nodeid and fh has the same numbers at the other side. */
export interface FilesystemMigration {
  /** The session at hand, in which no request is under way until the end. It goes on here, if the move is given up. */
  save(): StateRecords;
  /** Nothing but the root is known. The session goes on when all was taken. */
  load(): StateTaker;
}
