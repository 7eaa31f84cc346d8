/** How operations end: with a reply, with an error, or, where the driver does not learn of what they did, with all of it taken back. */
import { EIO, type Logger } from '@oriel/sys';
import { FUSE_OPENDIR } from './constants.ts';
import { MUTE } from './fetch.ts';
import type { OperationPool } from './operation-pool.ts';
import { FREE, KEPT, type OperationRecord, UNDOING } from './operation-record.ts';
import { PENDING, UNSERVED } from './pending.ts';
import * as P from './protocol.ts';
import { putBody } from './reply.ts';
import type { ReplySender } from './reply-sender.ts';
import type { ServeContext } from './serve-context.ts';

/** The ends of one session's operations. */
export class OperationEnds {
  /** Counts INIT, DESTROY and reset: a result from before the latest of them is void. */
  epoch = 0;
  /** Operations neither answered nor abandoned. */
  inFlight = 0;
  readonly #context: ServeContext;
  readonly #pool: OperationPool;
  readonly #sender: ReplySender;
  readonly #log: Logger;

  constructor(context: ServeContext, pool: OperationPool, sender: ReplySender, log: Logger) {
    this.#context = context;
    this.#pool = pool;
    this.#sender = sender;
    this.#log = log;
  }

  /** An operation was executed. */
  finish(op: OperationRecord, result: number): void {
    if (this.endStale(op, result)) return;
    if (!(result >= 0)) {
      op.records?.undo();
      op.intent?.finish(result);
      this.fail(op, result);
      return;
    }
    op.intent?.finish(result);
    const { hooks } = this.#context;
    if (hooks.beforeReply !== undefined && P.mayHold(op.opcode)) {
      op.state = KEPT;
      op.result = result;
      if (hooks.beforeReply(op, result)) return;
      if (op.abandoned) {
        this.#drop(op, result);
        return;
      }
    }
    this.succeed(op, result);
  }

  /** Ends an executed operation that lost its message, or its session. @returns false for one that has both */
  endStale(op: OperationRecord, result: number): boolean {
    if (op.abandoned) {
      this.#drop(op, result);
    } else if (op.epoch !== this.epoch) {
      this.fail(op, -EIO);
    } else {
      return false;
    }
    return true;
  }

  /** Sends the reply to a request that succeeded. */
  succeed(op: OperationRecord, result: number): void {
    const message = op.message!;
    const sender = this.#sender;
    if (op.reply === P.REPLY_SILENT) {
      this.recycle(op);
      sender.finish(message, 0);
      return;
    }
    const body = putBody(this.#context, op, result);
    if (body < 0) {
      this.#log.error('fuse: a result that cannot be told', { opcode: P.opcodeName(op.opcode), result });
      this.failAndUndo(op, body);
      return;
    }
    const written = sender.put(op, message, body);
    if (written === 0) {
      this.#undo(op);
    } else {
      this.recycle(op);
    }
    sender.finish(message, written);
  }

  /** An error reply. */
  fail(op: OperationRecord, error: number): void {
    this.#sender.putError(op, error);
    this.recycle(op);
  }

  /** An error reply to a request that succeeded. */
  failAndUndo(op: OperationRecord, error: number): void {
    this.#sender.putError(op, error);
    this.#undo(op);
  }

  /** A request that was never executed. */
  failHeld(op: OperationRecord, error: number): void {
    if (op.abandoned) {
      this.recycle(op);
    } else {
      this.fail(op, error);
    }
  }

  /** A request that breaks the rules; `error` is what `fetch` gave. */
  refuse(op: OperationRecord, error: number): void {
    if (error !== UNSERVED) {
      this.#sender.complain('fuse: malformed request', op, error);
    }
    if (error === MUTE) {
      const message = op.message!;
      this.recycle(op);
      this.#sender.finish(message, 0);
    } else {
      this.fail(op, error);
    }
  }

  /** Forgets the message, without a reply. */
  abandon(op: OperationRecord): void {
    if (op.state === FREE || op.abandoned) return;
    op.abandoned = true;
    op.message = null;
    op.io.message = null;
    this.inFlight--;
  }

  /** What a request did is taken back. */
  undone(op: OperationRecord): void {
    const counted = op.reply === P.REPLY_ENTRY || op.reply === P.REPLY_CREATE;
    if (counted && op.entry.nodeid !== 0 && op.epoch === this.epoch) {
      this.#context.forget(op.entry.nodeid, 1, null);
    }
    this.recycle(op);
  }

  /** The operation is free. */
  recycle(op: OperationRecord): void {
    if (!op.abandoned) {
      this.inFlight--;
    }
    const records = op.records;
    if (records !== null) {
      if (records.buffer !== null) {
        this.#context.buffers.give(records.buffer);
        records.buffer = null;
      }
      records.begin(op.u8, op.u32, 0, 0, false);
    }
    this.#pool.give(op);
  }

  /** Ends an operation whose message is gone. What it changed in the session that still lives is taken back. */
  #drop(op: OperationRecord, result: number): void {
    if (op.epoch !== this.epoch) {
      this.recycle(op);
    } else if (result >= 0) {
      this.#undo(op);
    } else {
      op.records?.undo();
      this.recycle(op);
    }
  }

  /** Takes back what a successful request counted and opened, since the driver does not learn of it. */
  #undo(op: OperationRecord): void {
    const { fs } = this.#context;
    let result = 0;
    this.abandon(op);
    op.intent?.clear();
    op.state = UNDOING;
    if (op.reply === P.REPLY_RECORDS) {
      op.records?.undo();
    } else if (op.reply === P.REPLY_CREATE) {
      result = fs.release(op, op.entry.nodeid, op.fh);
    } else if (op.reply === P.REPLY_OPEN) {
      result = op.opcode === FUSE_OPENDIR ? fs.releasedir(op, op.nodeid, op.fh) : fs.release(op, op.nodeid, op.fh);
    }
    if (result !== PENDING) {
      this.undone(op);
    }
  }
}
