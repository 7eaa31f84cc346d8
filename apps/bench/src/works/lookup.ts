/** LOOKUP of one small file after another; all of them are known to the back-end already. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Entry, FuseAttr, FuseEntryOut } from '@oriel/fuse';
import { readEntry } from '@oriel/fuse/client';
import { TWO_32 } from '@oriel/layout';
import { Message } from '../driver/message.ts';
import type { Session } from '../driver/session.ts';
import { SLOTS, type Work } from '../driver/work.ts';
import { BENCH_DIR, FILE_COUNT, FILES_DIR, fileName, fileSize } from '../share.ts';
import { expectAttributes } from './attributes.ts';
import { type SmallFiles, smallFiles } from './files.ts';

/** Bytes before a name's digits. */
const DIGITS = 4;
const SIZE = FuseEntryOut.attr.offset + FuseAttr.size.offset;

/** The workload `lookup`. */
export class LookupWork implements Work {
  readonly sampleEvery = 16;
  readonly #session: Session;
  readonly #shareDir: string;
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #files: SmallFiles;
  readonly #parentLo: number;
  readonly #parentHi: number;
  /** The digits of each name as one word. */
  readonly #digits: Uint32Array;
  readonly #messages: Message[] = [];
  readonly #asked = new Uint32Array(SLOTS);
  #next = 0;

  constructor(session: Session, shareDir: string) {
    this.#session = session;
    this.#shareDir = shareDir;
    this.#words = session.ram.words;
    this.#view = session.ram.view;
    this.#files = smallFiles(session);
    this.#parentLo = this.#files.parent % TWO_32;
    this.#parentHi = Math.floor(this.#files.parent / TWO_32);
    const names = Array.from({ length: FILE_COUNT }, (_, i) => Buffer.from(fileName(i)));
    this.#digits = Uint32Array.from(names, (name) => name.readUInt32LE(DIGITS));
    for (let slot = 0; slot < SLOTS; slot++) {
      const request = session.encoder.lookup(this.#files.parent, fileName(0));
      this.#messages.push(new Message(session.ram, session.queueOf(slot), slot, request));
    }
  }

  begin(slot: number): Message {
    const file = this.#next;
    this.#next = file + 1 === FILE_COUNT ? 0 : file + 1;
    this.#asked[slot] = file;
    const message = this.#messages[slot]!;
    message.set(this.#session.nextUnique(), this.#parentLo, this.#parentHi);
    this.#words[(message.args + DIGITS) / 4] = this.#digits[file]!;
    return message;
  }

  answered(message: Message, used: number): null {
    message.expect(message.answerLen, used);
    const file = this.#asked[message.slot]!;
    const view = this.#view;
    const at = message.body;
    if (view.getUint32(at, true) !== this.#files.lo[file] || view.getUint32(at + 4, true) !== this.#files.hi[file]) {
      throw message.wrong('another nodeid than before');
    }
    if (view.getUint32(at + SIZE, true) !== fileSize(file)) throw message.wrong('the size of another file');
    return null;
  }

  verify(once: (slot: number) => void): void {
    const entry = new Entry();
    for (let i = 0; i < FILE_COUNT; i++) {
      const slot = i % SLOTS;
      once(slot);
      const message = this.#messages[slot]!;
      readEntry(this.#view, message.body, entry);
      const path = join(this.#shareDir, BENCH_DIR, FILES_DIR, fileName(this.#asked[slot]!));
      expectAttributes(message, entry.attr, statSync(path, { bigint: true }));
    }
  }
}
