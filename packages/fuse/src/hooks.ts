/** What a DAX window adds to a session. */
import type { Attributes } from './attributes.ts';
import type { Operation } from './operation.ts';

/**
 * What a window adds to a session; all optional. An operation that a hook keeps (`hold`, `beforeReply`, PENDING) must be let
 * go exactly once, also after `abandon` or `reset`: only then it is free for another request.
 */
export interface SessionHooks {
  /** Extra INIT reply: flags to set when the driver offered them (MAP_ALIGNMENT, HAS_INODE_DAX). */
  readonly initFlagsLo?: number;
  readonly initFlagsHi?: number;
  /** log2 of the map alignment, for the INIT reply. */
  readonly mapAlignment?: number;
  /** INIT was accepted: what the driver offered. */
  initialised?(offeredLo: number, offeredHi: number): void;
  /** Before INIT is answered and at DESTROY/reset: drop every mapping. `done` then lets the reply go. */
  dropMappings?(done: () => void): void;
  /** May return PENDING. Offsets and lengths are safe integers, and their sums too. */
  setupMapping?(op: Operation, nodeid: number, foffset: number, len: number, flags: number, moffset: number): number;
  /** Entries are pairs in `moffsets`/`lens` (count of them). The arrays are reused by the next request. */
  removeMapping?(op: Operation, nodeid: number, count: number, moffsets: Float64Array, lens: Float64Array): number;
  /**
   * Called for every attribute record before it is encoded: may set the DAX flag or correct the size. In READDIRPLUS false
   * means: give this record without attributes (and the session undoes its lookup count by forget); elsewhere it is ignored.
   */
  attributes?(nodeid: number, attr: Attributes, inDirectory: boolean): boolean;
  /**
   * Called before a request that the Filesystem would get is executed, with the header's fields in `op`: true = the hook
   * keeps it, and calls `session.resume(op)` (or `session.replyError(op, -errno)`) later.
   */
  hold?(op: Operation): boolean;
  /**
   * Called after a request succeeded and before its reply is sent: true = the hook keeps the reply and calls
   * `session.reply(op)` (or `session.replyError(op, -errno)`) later. Sees attribute sizes through op.entry.attr, and writes
   * that grew a file.
   */
  beforeReply?(op: Operation, result: number): boolean;
  /** The inode's lookup count may have reached 0 (FORGET handled). */
  forgotten?(nodeid: number): void;
}
