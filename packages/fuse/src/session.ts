/**
 * The session: takes messages of a transport, has them checked and executed, and sends replies of exact length. What a request
 * means lies in `requests/`, what a reply looks like in `reply.ts`, how operations end in `operation-ends.ts`, and what is
 * beyond a request in `session-life.ts` and `session-moves.ts`.
 */
import { EIO, silentLogger } from '@oriel/sys';
import { FUSE_DESTROY, FUSE_INIT } from './constants.ts';
import { FuseError } from './errors.ts';
import { fetch } from './fetch.ts';
import { Negotiation } from './init.ts';
import type { FuseMessage } from './message.ts';
import type { Operation } from './operation.ts';
import { OperationEnds } from './operation-ends.ts';
import { OperationPool } from './operation-pool.ts';
import { EARLY, EXECUTING, FREE, HELD, KEPT, type OperationRecord, UNDOING, WAITING } from './operation-record.ts';
import { PENDING } from './pending.ts';
import * as P from './protocol.ts';
import { ReplySender, type SessionStats } from './reply-sender.ts';
import { serve } from './serve.ts';
import { ServeContext } from './serve-context.ts';
import { SessionLife } from './session-life.ts';
import { SessionMoves } from './session-moves.ts';
import { initWishes, type SessionOptions, sessionLimits } from './session-options.ts';
import type { JournalOptions } from './survival/journal.ts';
import type { SessionState } from './survival/migration.ts';
import { isSettled } from './survival/settled.ts';

/** FUSE over any message transport: INIT negotiation, decoding, checks, dispatch, encoding with exact lengths. */
export class FuseSession implements Disposable {
  readonly #context: ServeContext;
  readonly #pool: OperationPool;
  readonly #sender: ReplySender;
  readonly #ends: OperationEnds;
  readonly #life: SessionLife;
  readonly #moves: SessionMoves;

  /** @throws RangeError for `maxPages` or `maxOperations` out of range */
  constructor(options: SessionOptions) {
    const { sys, fs, finish, hooks = {}, log = silentLogger } = options;
    const { maxOperations, maxBytes } = sessionLimits(options);
    const completer = { completed: (op: OperationRecord, result: number) => this.#completed(op, result) };
    this.#context = new ServeContext(fs, hooks, maxBytes);
    this.#pool = new OperationPool(sys.mem, completer, maxOperations);
    this.#sender = new ReplySender(finish, log);
    this.#ends = new OperationEnds(this.#context, this.#pool, this.#sender, log);
    this.#life = new SessionLife(this.#context, new Negotiation(initWishes(options)), this.#ends, log);
    this.#moves = new SessionMoves(fs, this.#life, this.#pool, log);
  }

  /** True when another message may be handled (a free Operation exists). */
  get ready(): boolean {
    return this.#pool.available;
  }

  /** True between the reply to INIT and DESTROY or reset. */
  get initialised(): boolean {
    return this.#life.initialised;
  }

  /** Operations neither answered nor abandoned. */
  get inFlight(): number {
    return this.#ends.inFlight;
  }

  get stats(): SessionStats {
    return this.#sender.stats;
  }

  /**
   * Handles one message: replies at once or later through `finish`. Bad requests are answered with an errno.
   * @throws FuseError ERR_FUSE_BUSY when not `ready`
   * @throws SysError ENOMEM
   */
  handle(message: FuseMessage): void {
    const op = this.#pool.take();
    if (op === null) {
      throw new FuseError('ERR_FUSE_BUSY', 'bug', 'every operation is in flight');
    }
    const ends = this.#ends;
    ends.inFlight++;
    op.serial = ++this.#sender.stats.requests;
    op.message = message;
    op.epoch = ends.epoch;
    const error = fetch(op, message);
    if (error !== 0) {
      ends.refuse(op, error);
      return;
    }
    const opcode = op.opcode;
    if (!this.#life.initialised) {
      if (opcode === FUSE_INIT) {
        this.#life.init(op);
      } else {
        ends.fail(op, -EIO);
      }
      return;
    }
    const { hooks } = this.#context;
    if (hooks.hold !== undefined && P.mayHold(opcode)) {
      op.state = HELD;
      if (hooks.hold(op)) {
        return;
      }
      if (op.abandoned) {
        ends.recycle(op);
        return;
      }
    }
    if (opcode === FUSE_INIT) {
      this.#life.init(op);
    } else if (opcode === FUSE_DESTROY) {
      this.#life.destroy(op);
    } else {
      this.#execute(op);
    }
  }

  /** Executes an operation that `hold` kept. @throws FuseError ERR_FUSE_STATE */
  resume(operation: Operation): void {
    const op = operation as OperationRecord;
    this.#expect(op, HELD, 'resume');
    if (op.abandoned || op.epoch !== this.#ends.epoch) {
      this.#ends.failHeld(op, -EIO);
    } else {
      this.#execute(op);
    }
  }

  /** Sends the reply that `beforeReply` kept. @throws FuseError ERR_FUSE_STATE */
  reply(operation: Operation): void {
    const op = operation as OperationRecord;
    this.#expect(op, KEPT, 'reply');
    if (!this.#ends.endStale(op, op.result)) {
      this.#ends.succeed(op, op.result);
    }
  }

  /**
   * Sends an error in place of the reply that `beforeReply` kept (what the request counted or opened is taken back), or for a
   * request that `hold` kept and that is not to be executed any more.
   * @param error - a negative errno
   * @throws FuseError ERR_FUSE_STATE
   */
  replyError(operation: Operation, error: number): void {
    const op = operation as OperationRecord;
    if (op.state === HELD) {
      this.#ends.failHeld(op, error);
      return;
    }
    this.#expect(op, KEPT, 'replyError');
    if (!this.#ends.endStale(op, op.result)) {
      this.#ends.failAndUndo(op, error);
    }
  }

  /** The message of an operation (for unfetch). @throws FuseError ERR_FUSE_STATE once it is answered or abandoned */
  messageOf(operation: Operation): FuseMessage {
    const message = (operation as OperationRecord).message;
    if (message === null) {
      throw new FuseError('ERR_FUSE_STATE', 'bug', 'the operation has no message any more');
    }
    return message;
  }

  /**
   * Forgets an operation whose message was given back to the ring: no reply is written, and its result, when it comes, is
   * taken back. Until then its memory stays reserved, since the Filesystem may still use it.
   */
  abandon(operation: Operation): void {
    const op = operation as OperationRecord;
    this.#ends.abandon(op);
    // What it still does must not be noted where the next request with its place has its own.
    op.intent = null;
  }

  /** Operations in flight now, in order of arrival. */
  operations(): readonly Operation[] {
    return this.#pool.all.filter((op) => op.state !== FREE && !op.abandoned).sort((a, b) => a.serial - b.serial);
  }

  /**
   * Keeps a journal from now on, of the session that INIT will begin or `restore` brings back.
   * @returns 0, or a negative errno of the Filesystem: there is none then
   * @throws FuseError ERR_FUSE_STATE inside of a session
   */
  openJournal(options: JournalOptions): number {
    return this.#moves.openJournal(options);
  }

  /**
   * Goes on with the session in the journal: INIT is taken as done. Also true when none had begun.
   * @returns false when it cannot be: the journal is to be closed, and cleared by its owner
   */
  restore(): boolean {
    return this.#moves.restore();
  }

  /** Leaves the journal as it is: what follows is not of its session. A reset comes next. */
  closeJournal(): void {
    this.#moves.closeJournal();
  }

  /** What another host has to know of the session; null: INIT is not done. */
  get state(): SessionState | null {
    return this.#moves.state;
  }

  /** Whether a session of another host could go on here; asked behind a reset. @returns 0, or -EPROTO: other options were agreed */
  fits(state: SessionState): number {
    return this.#moves.fits(state);
  }

  /** Goes on with a session that fits; its Filesystem has all of it. A journal is open where one is kept. */
  takeOver(state: SessionState): void {
    this.#moves.takeOver(state);
  }

  /** Reset or disconnect: no message is answered any more, mappings are dropped, fs.destroy(), state 'not initialised'. */
  reset(): void {
    for (const op of this.#pool.all) {
      this.#ends.abandon(op);
    }
    this.#life.reset();
  }

  /** A reset, then frees the memory. Nothing may still be reading or writing it: drain helper threads first. */
  [Symbol.dispose](): void {
    this.reset();
    this.#pool[Symbol.dispose]();
  }

  /** What `op.complete` does. */
  #completed(op: OperationRecord, result: number): void {
    switch (op.state) {
      case WAITING:
        op.state = EXECUTING;
        if (op.opcode === FUSE_INIT) {
          this.#life.initDone(op, result);
        } else {
          this.#ends.finish(op, result);
        }
        break;
      case EXECUTING:
        // The method has yet to return PENDING.
        op.state = EARLY;
        op.result = result;
        break;
      case UNDOING:
        this.#ends.undone(op);
        break;
      default:
        throw new FuseError('ERR_FUSE_STATE', 'bug', `complete of an operation in state ${op.state}`);
    }
  }

  #expect(op: OperationRecord, state: number, call: string): void {
    if (op.state !== state) {
      throw new FuseError('ERR_FUSE_STATE', 'bug', `${call} of an operation in state ${op.state}, wanted ${state}`);
    }
  }

  #execute(op: OperationRecord): void {
    const { journal } = this.#life;
    op.state = EXECUTING;
    if (journal !== null && P.mayRecord(op.opcode)) {
      journal.enter(op, op.message!);
      if (isSettled(op)) {
        this.#ends.finish(op, op.intent!.result);
        return;
      }
    }
    const result = serve(this.#context, op);
    if (result !== PENDING) {
      this.#ends.finish(op, result);
    } else if (op.state === EARLY) {
      op.state = EXECUTING;
      this.#ends.finish(op, op.result);
    } else {
      op.state = WAITING;
    }
  }
}
