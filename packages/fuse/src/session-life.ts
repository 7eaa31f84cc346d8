/** How a session begins and ends: INIT, DESTROY and reset, in which mappings go before inodes. */
import { EIO, type Logger } from '@oriel/sys';
import { FUSE_SECURITY_CTX, FUSE_SETXATTR_EXT, flags2 } from './constants.ts';
import { FuseError } from './errors.ts';
import type { Negotiation } from './init.ts';
import type { OperationEnds } from './operation-ends.ts';
import { EARLY, EXECUTING, type OperationRecord, REQUEST, WAITING } from './operation-record.ts';
import { PENDING } from './pending.ts';
import * as P from './protocol.ts';
import type { ServeContext } from './serve-context.ts';
import type { SessionJournal } from './survival/journal.ts';

const SECURITY_CTX_HI = flags2(FUSE_SECURITY_CTX);
/** Where in an operation's memory INIT's arguments stand. */
const INIT_IN = REQUEST + P.IN_HEADER;

/** One session after another, over the same transport. */
export class SessionLife {
  /** Requests are served. */
  initialised = false;
  /** The request of INIT behind its header. */
  initRequest: Uint8Array = new Uint8Array(0);
  /** Where the session is written down; null: nowhere. */
  journal: SessionJournal | null = null;
  readonly negotiation: Negotiation;
  readonly #context: ServeContext;
  readonly #ends: OperationEnds;
  readonly #log: Logger;
  /** The Filesystem holds state of a session. */
  #live = false;

  constructor(context: ServeContext, negotiation: Negotiation, ends: OperationEnds, log: Logger) {
    this.#context = context;
    this.negotiation = negotiation;
    this.#ends = ends;
    this.#log = log;
  }

  /** INIT: the older session ends first, mappings before inodes. */
  init(op: OperationRecord): void {
    const body = this.negotiation.take(op.view, INIT_IN, op.end - INIT_IN);
    if (body < 0) {
      this.#ends.fail(op, body);
      return;
    }
    this.#leave(op, () => this.#initFilesystem(op, body));
  }

  /** The Filesystem answered INIT. */
  initDone(op: OperationRecord, result: number): void {
    if (op.abandoned || op.epoch !== this.#ends.epoch || !(result >= 0)) {
      this.#ends.finish(op, result);
      return;
    }
    const agreed = this.negotiation;
    this.#agree();
    this.initRequest = op.u8.slice(INIT_IN, op.end);
    this.journal?.begin(this.initRequest);
    agreed.put(op.view, INIT_IN, P.OUT_HEADER);
    this.#context.hooks.initialised?.(agreed.offeredLo, agreed.offeredHi);
    this.#log.info('fuse: session', {
      minor: op.view.getUint32(P.OUT_HEADER + 4, true),
      flags: agreed.flagsLo,
      flags2: agreed.flagsHi,
    });
    this.#ends.succeed(op, P.REPLY_BYTES[P.REPLY_INIT]!);
  }

  /** DESTROY: mappings, then inodes, then the reply. */
  destroy(op: OperationRecord): void {
    this.#leave(op, () => {
      this.#endSession();
      this.#ends.succeed(op, 0);
    });
  }

  /** Ends the session without a word to the driver: the journal stays as it is. Operations are to be abandoned before. */
  reset(): void {
    this.#ends.epoch++;
    this.initialised = false;
    this.#context.hooks.dropMappings?.(() => {});
    this.#destroyFilesystem();
  }

  /** A session that began elsewhere is this one's. @param init - its INIT, which `negotiation` took */
  goOn(init: Uint8Array): void {
    this.initRequest = init.slice();
    this.#agree();
    this.#live = true;
    this.#context.hooks.initialised?.(this.negotiation.offeredLo, this.negotiation.offeredHi);
  }

  #initFilesystem(op: OperationRecord, body: number): void {
    this.#endSession();
    if (body < P.REPLY_BYTES[P.REPLY_INIT]!) {
      this.negotiation.putMajor(op.view, P.OUT_HEADER);
      this.#ends.succeed(op, body);
      return;
    }
    this.#live = true;
    const { fs } = this.#context;
    const result = fs.init === undefined ? 0 : fs.init(op);
    if (result !== PENDING) {
      this.initDone(op, result);
    } else if (op.state === EARLY) {
      this.initDone(op, op.result);
    } else {
      op.state = WAITING;
    }
  }

  /** Requests are served by what was negotiated from now on. */
  #agree(): void {
    const { flagsLo, flagsHi } = this.negotiation;
    this.#context.setxattrExt = (flagsLo & FUSE_SETXATTR_EXT) !== 0;
    this.#context.securityContexts = (flagsHi & SECURITY_CTX_HI) !== 0;
    this.initialised = true;
    this.#context.fs.initialised?.(flagsLo, flagsHi);
  }

  /** Stops serving and has the mappings dropped, then calls `then`, unless a reset or another INIT overtook the operation. */
  #leave(op: OperationRecord, then: () => void): void {
    const { hooks } = this.#context;
    const ends = this.#ends;
    ends.epoch++;
    this.initialised = false;
    op.epoch = ends.epoch;
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
      if (op.abandoned || op.epoch !== ends.epoch) {
        ends.failHeld(op, -EIO);
      } else {
        then();
      }
    });
  }

  /** In the journal last: a process that goes on in the middle of it finds what is still to be ended. */
  #endSession(): void {
    this.#destroyFilesystem();
    this.journal?.end();
  }

  #destroyFilesystem(): void {
    if (this.#live) {
      this.#live = false;
      this.#context.fs.destroy();
    }
  }
}
