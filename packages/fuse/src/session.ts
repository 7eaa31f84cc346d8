/**
 * The session: takes messages of a transport, has them checked and executed, and sends replies of exact length. It owns the
 * operations and their states; what a request means lies in `requests/`, what a reply looks like in `reply.ts`.
 */
import { EIO, EOPNOTSUPP, EPROTO, type Logger, type Sys, silentLogger } from '@oriel/sys';
import {
  FUSE_DESTROY,
  FUSE_FLOCK_LOCKS,
  FUSE_INIT,
  FUSE_OPENDIR,
  FUSE_POSIX_LOCKS,
  FUSE_SECURITY_CTX,
  FUSE_SETXATTR_EXT,
  flags2,
} from './constants.ts';
import { FuseError } from './errors.ts';
import { fetch, MUTE } from './fetch.ts';
import type { Filesystem } from './filesystem.ts';
import type { SessionHooks } from './hooks.ts';
import { Negotiation } from './init.ts';
import { FuseInitIn } from './layout.ts';
import type { FuseMessage } from './message.ts';
import type { Operation } from './operation.ts';
import { OperationPool } from './operation-pool.ts';
import {
  EARLY,
  EXECUTING,
  FREE,
  HELD,
  KEPT,
  type OperationRecord,
  REQUEST,
  UNDOING,
  WAITING,
} from './operation-record.ts';
import { PENDING, UNSERVED } from './pending.ts';
import * as P from './protocol.ts';
import { putBody } from './reply.ts';
import { ReplySender, type SessionStats } from './reply-sender.ts';
import { serve } from './serve.ts';
import { ServeContext } from './serve-context.ts';
import { type JournalOptions, SessionJournal } from './survival/journal.ts';
import type { SessionState } from './survival/migration.ts';
import { isSettled } from './survival/settled.ts';

const PAGE = 4096;
/** More pages would need more pieces than one preadv2 takes. */
const MAX_PAGES = 1024;
const SECURITY_CTX_HI = flags2(FUSE_SECURITY_CTX);

export interface SessionOptions {
  readonly sys: Pick<Sys, 'mem'>;
  readonly fs: Filesystem;
  /** Completes the message: `written` bytes of the reply are in place (0 for requests without one). */
  readonly finish: (message: FuseMessage, written: number) => void;
  readonly hooks?: SessionHooks;
  readonly log?: Logger;
  /** Pages per request at most (reply of INIT), 1 to 1024, default 256 = 1 MiB. */
  readonly maxPages?: number;
  /** Requests in flight at most, default 1024; further ones wait in the ring. */
  readonly maxOperations?: number;
  /** READDIRPLUS where the driver asks for it; default true. */
  readonly readdirplus?: boolean;
  /** Drop attributes' data cache by mtime (AUTO_INVAL_DATA) or leave it to opens (EXPLICIT_INVAL_DATA); default 'auto'. */
  readonly invalidation?: 'auto' | 'explicit';
}

/** Flags of INIT for the locks that the Filesystem wants. */
function lockFlags({ locks }: Filesystem): number {
  return (locks?.posix === true ? FUSE_POSIX_LOCKS : 0) | (locks?.flock === true ? FUSE_FLOCK_LOCKS : 0);
}

/** FUSE over any message transport: INIT negotiation, decoding, checks, dispatch, encoding with exact lengths. */
export class FuseSession implements Disposable {
  readonly #context: ServeContext;
  readonly #pool: OperationPool;
  readonly #sender: ReplySender;
  readonly #hooks: SessionHooks;
  readonly #log: Logger;
  readonly #negotiation: Negotiation;
  #initialised = false;
  /** The Filesystem holds state of a session. */
  #live = false;
  /** Counts INIT, DESTROY and reset: a result from before the latest of them is void. */
  #epoch = 0;
  #inFlight = 0;
  #journal: SessionJournal | null = null;
  /** The request of INIT behind its header. */
  #initRequest = new Uint8Array(0);

  /** @throws RangeError for `maxPages` or `maxOperations` out of range */
  constructor(options: SessionOptions) {
    const { sys, fs, finish, hooks = {}, log = silentLogger, maxPages = 256, maxOperations = 1024 } = options;
    if (!(Number.isInteger(maxPages) && maxPages >= 1 && maxPages <= MAX_PAGES)) {
      throw new RangeError(`maxPages is ${maxPages}, wanted 1 to ${MAX_PAGES}`);
    }
    if (!(Number.isInteger(maxOperations) && maxOperations >= 1)) {
      throw new RangeError(`maxOperations is ${maxOperations}, wanted 1 or more`);
    }
    this.#context = new ServeContext(fs, hooks, maxPages * PAGE);
    const completer = { completed: (op: OperationRecord, result: number) => this.#completed(op, result) };
    this.#pool = new OperationPool(sys.mem, completer, maxOperations);
    this.#sender = new ReplySender(finish, log);
    this.#hooks = hooks;
    this.#log = log;
    this.#negotiation = new Negotiation({
      maxPages,
      features: options.readdirplus === false ? { ...fs.features, readdirplus: false } : (fs.features ?? {}),
      invalidation: options.invalidation ?? 'auto',
      flagsLo: (hooks.initFlagsLo ?? 0) | lockFlags(fs),
      flagsHi: hooks.initFlagsHi ?? 0,
      mapAlignment: hooks.mapAlignment ?? 0,
    });
  }

  /** True when another message may be handled (a free Operation exists). */
  get ready(): boolean {
    return this.#pool.available;
  }

  /** True between the reply to INIT and DESTROY or reset. */
  get initialised(): boolean {
    return this.#initialised;
  }

  /** Operations neither answered nor abandoned. */
  get inFlight(): number {
    return this.#inFlight;
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
    this.#inFlight++;
    op.serial = ++this.#sender.stats.requests;
    op.message = message;
    op.epoch = this.#epoch;
    const error = fetch(op, message);
    if (error !== 0) {
      this.#refuse(op, error);
      return;
    }
    const opcode = op.opcode;
    if (!this.#initialised) {
      if (opcode === FUSE_INIT) {
        this.#init(op);
      } else {
        this.#fail(op, -EIO);
      }
      return;
    }
    if (this.#hooks.hold !== undefined && P.mayHold(opcode)) {
      op.state = HELD;
      if (this.#hooks.hold(op)) {
        return;
      }
      if (op.abandoned) {
        this.#recycle(op);
        return;
      }
    }
    if (opcode === FUSE_INIT) {
      this.#init(op);
    } else if (opcode === FUSE_DESTROY) {
      this.#destroy(op);
    } else {
      this.#execute(op);
    }
  }

  /** Executes an operation that `hold` kept. @throws FuseError ERR_FUSE_STATE */
  resume(operation: Operation): void {
    const op = operation as OperationRecord;
    this.#expect(op, HELD, 'resume');
    if (op.abandoned || op.epoch !== this.#epoch) {
      this.#failHeld(op, -EIO);
    } else {
      this.#execute(op);
    }
  }

  /** Sends the reply that `beforeReply` kept. @throws FuseError ERR_FUSE_STATE */
  reply(operation: Operation): void {
    const op = operation as OperationRecord;
    this.#expect(op, KEPT, 'reply');
    if (op.abandoned) {
      this.#drop(op, op.result);
    } else if (op.epoch !== this.#epoch) {
      this.#fail(op, -EIO);
    } else {
      this.#succeed(op, op.result);
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
      this.#failHeld(op, error);
      return;
    }
    this.#expect(op, KEPT, 'replyError');
    if (op.abandoned) {
      this.#drop(op, op.result);
    } else if (op.epoch !== this.#epoch) {
      this.#fail(op, -EIO);
    } else {
      this.#sender.putError(op, error);
      this.#undo(op);
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
    if (op.state === FREE || op.abandoned) {
      return;
    }
    op.abandoned = true;
    op.message = null;
    op.io.message = null;
    this.#inFlight--;
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
    if (this.#initialised || this.#journal !== null) {
      throw new FuseError('ERR_FUSE_STATE', 'bug', 'a journal is opened before INIT, and once');
    }
    const { fs } = this.#context;
    const journal = new SessionJournal(options);
    const result = fs.openJournal === undefined ? -EOPNOTSUPP : fs.openJournal(journal.filesystem);
    if (result === 0) {
      this.#journal = journal;
    }
    return result;
  }

  /**
   * Goes on with the session in the journal: INIT is taken as done. Also true when none had begun.
   * @returns false when it cannot be: the journal is to be closed, and cleared by its owner
   */
  restore(): boolean {
    const journal = this.#journal;
    if (journal === null || !journal.live) {
      return journal !== null;
    }
    const { init } = journal;
    if (!this.#agreeAgain(init)) {
      return false;
    }
    const result = this.#context.fs.restore?.() ?? -EOPNOTSUPP;
    if (result < 0) {
      this.#log.error('fuse: the session is lost', { errno: -result });
      return false;
    }
    this.#goOn(init);
    return true;
  }

  /** What another host has to know of the session; null: INIT is not done. */
  get state(): SessionState | null {
    const { flagsLo, flagsHi, maxPages } = this.#negotiation;
    return this.#initialised ? { init: this.#initRequest, flagsLo, flagsHi, maxPages } : null;
  }

  /** Whether a session of another host could go on here; asked behind a reset. @returns 0, or -EPROTO: other options were agreed */
  fits(state: SessionState): number {
    const agreed = this.#negotiation;
    if (
      this.#agreeAgain(state.init) &&
      agreed.flagsLo === state.flagsLo &&
      agreed.flagsHi === state.flagsHi &&
      agreed.maxPages === state.maxPages
    ) {
      return 0;
    }
    this.#log.error('fuse: the session was agreed with other options than these', {
      theirs: [state.flagsLo, state.flagsHi, state.maxPages].join(' '),
      ours: [agreed.flagsLo, agreed.flagsHi, agreed.maxPages].join(' '),
    });
    return -EPROTO;
  }

  /** Goes on with a session that fits; its Filesystem has all of it. A journal is open where one is kept. */
  takeOver({ init }: SessionState): void {
    this.#journal?.begin(init);
    this.#goOn(init);
  }

  /** @param init - a request of INIT behind its header @returns false when no session comes of it */
  #agreeAgain(init: Uint8Array): boolean {
    const view = new DataView(init.buffer, init.byteOffset, init.length);
    return (
      init.length >= FuseInitIn.flags2.offset &&
      this.#negotiation.take(view, 0, init.length) >= P.REPLY_BYTES[P.REPLY_INIT]!
    );
  }

  /** A session that began elsewhere is this one's. */
  #goOn(init: Uint8Array): void {
    const agreed = this.#negotiation;
    this.#initRequest = init.slice();
    this.#agree();
    this.#live = true;
    this.#hooks.initialised?.(agreed.offeredLo, agreed.offeredHi);
  }

  /** Leaves the journal as it is: what follows is not of its session. A reset comes next. */
  closeJournal(): void {
    if (this.#journal === null) return;
    this.#journal = null;
    for (const op of this.#pool.all) {
      op.record = null;
      op.intent = null;
    }
    this.#context.fs.closeJournal?.();
  }

  /** Reset or disconnect: no message is answered any more, mappings are dropped, fs.destroy(), state 'not initialised'. */
  reset(): void {
    for (const op of this.#pool.all) {
      this.abandon(op);
    }
    this.#epoch++;
    this.#initialised = false;
    this.#hooks.dropMappings?.(() => {});
    this.#destroyFilesystem();
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
          this.#initDone(op, result);
        } else {
          this.#finish(op, result);
        }
        break;
      case EXECUTING:
        // The method has yet to return PENDING.
        op.state = EARLY;
        op.result = result;
        break;
      case UNDOING:
        this.#undone(op);
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

  #failHeld(op: OperationRecord, error: number): void {
    if (op.abandoned) {
      this.#recycle(op);
    } else {
      this.#fail(op, error);
    }
  }

  #execute(op: OperationRecord): void {
    op.state = EXECUTING;
    if (this.#journal !== null && P.mayRecord(op.opcode)) {
      this.#journal.enter(op, op.message!);
      if (isSettled(op)) {
        this.#finish(op, op.intent!.result);
        return;
      }
    }
    const result = serve(this.#context, op);
    if (result !== PENDING) {
      this.#finish(op, result);
    } else if (op.state === EARLY) {
      op.state = EXECUTING;
      this.#finish(op, op.result);
    } else {
      op.state = WAITING;
    }
  }

  #finish(op: OperationRecord, result: number): void {
    if (op.abandoned) {
      this.#drop(op, result);
    } else if (op.epoch !== this.#epoch) {
      this.#fail(op, -EIO);
    } else if (!(result >= 0)) {
      op.records?.undo();
      op.intent?.finish(result);
      this.#fail(op, result);
    } else {
      op.intent?.finish(result);
      if (this.#hooks.beforeReply !== undefined && P.mayHold(op.opcode)) {
        op.state = KEPT;
        op.result = result;
        if (this.#hooks.beforeReply(op, result)) {
          return;
        }
        if (op.abandoned) {
          this.#drop(op, result);
          return;
        }
      }
      this.#succeed(op, result);
    }
  }

  /** Sends the reply to a request that succeeded. */
  #succeed(op: OperationRecord, result: number): void {
    const message = op.message!;
    const sender = this.#sender;
    if (op.reply === P.REPLY_SILENT) {
      this.#recycle(op);
      sender.finish(message, 0);
      return;
    }
    const body = putBody(this.#context, op, result);
    if (body < 0) {
      this.#log.error('fuse: a result that cannot be told', { opcode: P.opcodeName(op.opcode), result });
      sender.putError(op, body);
      this.#undo(op);
      return;
    }
    const written = sender.put(op, message, body);
    if (written === 0) {
      this.#undo(op);
    } else {
      this.#recycle(op);
    }
    sender.finish(message, written);
  }

  /** An error reply, and the end of the operation. */
  #fail(op: OperationRecord, error: number): void {
    this.#sender.putError(op, error);
    this.#recycle(op);
  }

  /** A request that breaks the rules; `error` is what `fetch` gave. */
  #refuse(op: OperationRecord, error: number): void {
    if (error !== UNSERVED) {
      this.#sender.complain('fuse: malformed request', op, error);
    }
    if (error === MUTE) {
      const message = op.message!;
      this.#recycle(op);
      this.#sender.finish(message, 0);
    } else {
      this.#fail(op, error);
    }
  }

  /** Ends an operation whose message is gone. What it changed in the session that still lives is taken back. */
  #drop(op: OperationRecord, result: number): void {
    if (op.epoch !== this.#epoch) {
      this.#recycle(op);
    } else if (result >= 0) {
      this.#undo(op);
    } else {
      op.records?.undo();
      this.#recycle(op);
    }
  }

  /** Takes back what a successful request counted and opened, since the driver does not learn of it; ends the operation. */
  #undo(op: OperationRecord): void {
    const fs = this.#context.fs;
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
      this.#undone(op);
    }
  }

  #undone(op: OperationRecord): void {
    const counted = op.reply === P.REPLY_ENTRY || op.reply === P.REPLY_CREATE;
    if (counted && op.entry.nodeid !== 0 && op.epoch === this.#epoch) {
      this.#context.forget(op.entry.nodeid, 1, null);
    }
    this.#recycle(op);
  }

  #recycle(op: OperationRecord): void {
    if (!op.abandoned) {
      this.#inFlight--;
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

  /** INIT: the older session ends first, mappings before inodes. */
  #init(op: OperationRecord): void {
    const body = this.#negotiation.take(op.view, REQUEST + P.IN_HEADER, op.end - REQUEST - P.IN_HEADER);
    if (body < 0) {
      this.#fail(op, body);
      return;
    }
    this.#epoch++;
    this.#initialised = false;
    op.epoch = this.#epoch;
    this.#dropMappings(op, () => this.#initFilesystem(op, body));
  }

  #initFilesystem(op: OperationRecord, body: number): void {
    this.#endSession();
    if (body < P.REPLY_BYTES[P.REPLY_INIT]!) {
      this.#negotiation.putMajor(op.view, P.OUT_HEADER);
      this.#succeed(op, body);
      return;
    }
    this.#live = true;
    const fs = this.#context.fs;
    const result = fs.init === undefined ? 0 : fs.init(op);
    if (result !== PENDING) {
      this.#initDone(op, result);
    } else if (op.state === EARLY) {
      this.#initDone(op, op.result);
    } else {
      op.state = WAITING;
    }
  }

  #initDone(op: OperationRecord, result: number): void {
    if (op.abandoned || op.epoch !== this.#epoch || !(result >= 0)) {
      this.#finish(op, result);
      return;
    }
    const agreed = this.#negotiation;
    this.#agree();
    const init = REQUEST + P.IN_HEADER;
    this.#initRequest = op.u8.slice(init, op.end);
    this.#journal?.begin(this.#initRequest);
    agreed.put(op.view, REQUEST + P.IN_HEADER, P.OUT_HEADER);
    this.#hooks.initialised?.(agreed.offeredLo, agreed.offeredHi);
    this.#log.info('fuse: session', {
      minor: op.view.getUint32(P.OUT_HEADER + 4, true),
      flags: agreed.flagsLo,
      flags2: agreed.flagsHi,
    });
    this.#succeed(op, P.REPLY_BYTES[P.REPLY_INIT]!);
  }

  /** Requests are served by what was negotiated from now on. */
  #agree(): void {
    const { flagsLo, flagsHi } = this.#negotiation;
    this.#context.setxattrExt = (flagsLo & FUSE_SETXATTR_EXT) !== 0;
    this.#context.securityContexts = (flagsHi & SECURITY_CTX_HI) !== 0;
    this.#initialised = true;
    this.#context.fs.initialised?.(flagsLo, flagsHi);
  }

  /** DESTROY: mappings, then inodes, then the reply. */
  #destroy(op: OperationRecord): void {
    this.#epoch++;
    this.#initialised = false;
    op.epoch = this.#epoch;
    this.#dropMappings(op, () => {
      this.#endSession();
      this.#succeed(op, 0);
    });
  }

  /** Has the mappings dropped, then calls `then`, unless the operation was overtaken by a reset or another INIT. */
  #dropMappings(op: OperationRecord, then: () => void): void {
    const hooks = this.#hooks;
    if (hooks.dropMappings === undefined) {
      op.state = EXECUTING;
      then();
      return;
    }
    let called = false;
    op.state = WAITING;
    hooks.dropMappings(() => {
      if (called) {
        throw new FuseError('ERR_FUSE_STATE', 'bug', 'dropMappings called done twice');
      }
      called = true;
      op.state = EXECUTING;
      if (op.abandoned) {
        this.#recycle(op);
      } else if (op.epoch !== this.#epoch) {
        this.#fail(op, -EIO);
      } else {
        then();
      }
    });
  }

  /** In the journal last: a process that goes on in the middle of it finds what is still to be ended. */
  #endSession(): void {
    this.#destroyFilesystem();
    this.#journal?.end();
  }

  #destroyFilesystem(): void {
    if (this.#live) {
      this.#live = false;
      this.#context.fs.destroy();
    }
  }
}
