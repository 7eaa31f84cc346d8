/** A session that goes on elsewhere: in the next process by its journal, on another host by what is told of it. */
import { EOPNOTSUPP, EPROTO, type Logger } from '@oriel/sys';
import { FuseError } from './errors.ts';
import type { Filesystem } from './filesystem.ts';
import { FuseInitIn } from './layout.ts';
import type { OperationPool } from './operation-pool.ts';
import * as P from './protocol.ts';
import type { SessionLife } from './session-life.ts';
import { type JournalOptions, SessionJournal } from './survival/journal.ts';
import type { SessionState } from './survival/migration.ts';

/** What `FuseSession` does of it, under the same names. */
export class SessionMoves {
  readonly #fs: Filesystem;
  readonly #life: SessionLife;
  readonly #pool: OperationPool;
  readonly #log: Logger;

  constructor(fs: Filesystem, life: SessionLife, pool: OperationPool, log: Logger) {
    this.#fs = fs;
    this.#life = life;
    this.#pool = pool;
    this.#log = log;
  }

  openJournal(options: JournalOptions): number {
    const life = this.#life;
    if (life.initialised || life.journal !== null) {
      throw new FuseError('ERR_FUSE_STATE', 'bug', 'a journal is opened before INIT, and once');
    }
    const journal = new SessionJournal(options);
    const result = this.#fs.openJournal === undefined ? -EOPNOTSUPP : this.#fs.openJournal(journal.filesystem);
    if (result === 0) {
      life.journal = journal;
    }
    return result;
  }

  closeJournal(): void {
    if (this.#life.journal === null) return;
    this.#life.journal = null;
    for (const op of this.#pool.all) {
      op.record = null;
      op.intent = null;
    }
    this.#fs.closeJournal?.();
  }

  restore(): boolean {
    const { journal } = this.#life;
    if (journal === null || !journal.live) {
      return journal !== null;
    }
    const { init } = journal;
    if (!this.#agreeAgain(init)) {
      return false;
    }
    const result = this.#fs.restore?.() ?? -EOPNOTSUPP;
    if (result < 0) {
      this.#log.error('fuse: the session is lost', { errno: -result });
      return false;
    }
    this.#life.goOn(init);
    return true;
  }

  get state(): SessionState | null {
    const { initialised, initRequest, negotiation } = this.#life;
    const { flagsLo, flagsHi, maxPages } = negotiation;
    return initialised ? { init: initRequest, flagsLo, flagsHi, maxPages } : null;
  }

  fits(state: SessionState): number {
    const agreed = this.#life.negotiation;
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

  takeOver({ init }: SessionState): void {
    this.#life.journal?.begin(init);
    this.#life.goOn(init);
  }

  /** @param init - a request of INIT behind its header @returns false when no session comes of it */
  #agreeAgain(init: Uint8Array): boolean {
    const view = new DataView(init.buffer, init.byteOffset, init.length);
    return (
      init.length >= FuseInitIn.flags2.offset &&
      this.#life.negotiation.take(view, 0, init.length) >= P.REPLY_BYTES[P.REPLY_INIT]!
    );
  }
}
