/** Files that come and go: CREATE, RELEASE, UNLINK, and FORGET on the queue of high priority, as Linux sends it. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Entry, FuseEntryOut, FuseOpenOut, FuseReleaseIn } from '@oriel/fuse';
import { readEntry } from '@oriel/fuse/client';
import { TWO_32 } from '@oriel/layout';
import { O_CREAT, O_EXCL, O_RDWR } from '@oriel/sys';
import { Message } from '../driver/message.ts';
import type { Session } from '../driver/session.ts';
import { SLOTS, type Work } from '../driver/work.ts';
import { BENCH_DIR, NEW_DIR } from '../share.ts';
import { expectAttributes } from './attributes.ts';

const MODE = 0o100644;
const FH = FuseEntryOut.byteLength + FuseOpenOut.fh.offset;
/** An operation is looked into between its requests, once per slot. */
const VERIFIED = SLOTS;

/** The workload `create`. */
export class CreateWork implements Work {
  readonly sampleEvery = 8;
  readonly #session: Session;
  readonly #path: string;
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #parentLo: number;
  readonly #parentHi: number;
  readonly #creates: Message[] = [];
  readonly #releases: Message[] = [];
  readonly #unlinks: Message[] = [];
  readonly #forgets: Message[] = [];
  #onAnswer: ((message: Message) => void) | null = null;

  constructor(session: Session, shareDir: string) {
    const { ram, hiprio, encoder } = session;
    this.#session = session;
    this.#path = join(shareDir, BENCH_DIR, NEW_DIR);
    this.#words = ram.words;
    this.#view = ram.view;
    const parent = session.resolve(BENCH_DIR, NEW_DIR);
    this.#parentLo = parent % TWO_32;
    this.#parentHi = Math.floor(parent / TWO_32);
    for (let slot = 0; slot < SLOTS; slot++) {
      const create = encoder.create(parent, nameOf(slot), O_RDWR | O_CREAT | O_EXCL, MODE, 0o022);
      this.#creates.push(new Message(ram, session.queueOf(slot), slot, create));
      this.#releases.push(new Message(ram, session.queueOf(slot), slot, encoder.release(0, 0)));
      this.#unlinks.push(new Message(ram, session.queueOf(slot), slot, encoder.unlink(parent, nameOf(slot))));
      this.#forgets.push(new Message(ram, hiprio, slot, encoder.forget(0, 1)));
    }
  }

  begin(slot: number): Message {
    return this.#onParent(this.#creates[slot]!);
  }

  answered(message: Message, used: number): Message | null {
    const { slot } = message;
    if (message === this.#forgets[slot]) {
      if (used !== 0) throw message.wrong('an answer to a FORGET');
      return null;
    }
    message.expect(message.answerLen, used);
    if (this.#onAnswer !== null) this.#onAnswer(message);
    if (message === this.#releases[slot]) return this.#onParent(this.#unlinks[slot]!);
    const created = this.#creates[slot]!;
    const lo = this.#view.getUint32(created.body, true);
    const hi = this.#view.getUint32(created.body + 4, true);
    const unique = this.#session.nextUnique();
    if (message === created) {
      const release = this.#releases[slot]!;
      const fh = (release.args + FuseReleaseIn.fh.offset) / 4;
      release.set(unique, lo, hi);
      this.#words[fh] = this.#view.getUint32(created.body + FH, true);
      this.#words[fh + 1] = this.#view.getUint32(created.body + FH + 4, true);
      return release;
    }
    const forget = this.#forgets[slot]!;
    forget.set(unique, lo, hi);
    return forget;
  }

  /** The file must be there after CREATE, with the attributes of the answer, and gone after UNLINK. */
  verify(once: (slot: number) => void): void {
    const entry = new Entry();
    this.#onAnswer = (message) => {
      const path = join(this.#path, nameOf(message.slot));
      if (message === this.#creates[message.slot]) {
        readEntry(this.#view, message.body, entry);
        expectAttributes(message, entry.attr, statSync(path, { bigint: true }));
      } else if (message === this.#unlinks[message.slot] && existsSync(path)) {
        throw message.wrong(`${path} is still there`);
      }
    };
    for (let i = 0; i < VERIFIED; i++) once(i % SLOTS);
    this.#onAnswer = null;
  }

  #onParent(message: Message): Message {
    message.set(this.#session.nextUnique(), this.#parentLo, this.#parentHi);
    return message;
  }
}

function nameOf(slot: number): string {
  return `new-${String(slot).padStart(2, '0')}`;
}
