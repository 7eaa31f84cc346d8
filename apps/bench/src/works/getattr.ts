/** GETATTR of one small file after another. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Attributes, FuseAttr, FuseAttrOut } from '@oriel/fuse';
import { readAttrOut } from '@oriel/fuse/client';
import { Message } from '../driver/message.ts';
import type { Session } from '../driver/session.ts';
import { SLOTS, type Work } from '../driver/work.ts';
import { BENCH_DIR, FILE_COUNT, FILES_DIR, fileName, fileSize } from '../share.ts';
import { expectAttributes } from './attributes.ts';
import { type SmallFiles, smallFiles } from './files.ts';

const SIZE = FuseAttrOut.attr.offset + FuseAttr.size.offset;

/** The workload `getattr`. */
export class GetattrWork implements Work {
  readonly sampleEvery = 16;
  readonly #session: Session;
  readonly #shareDir: string;
  readonly #words: Uint32Array;
  readonly #files: SmallFiles;
  readonly #messages: Message[] = [];
  readonly #asked = new Uint32Array(SLOTS);
  #next = 0;

  constructor(session: Session, shareDir: string) {
    this.#session = session;
    this.#shareDir = shareDir;
    this.#words = session.ram.words;
    this.#files = smallFiles(session);
    for (let slot = 0; slot < SLOTS; slot++) {
      this.#messages.push(new Message(session.ram, session.queueOf(slot), slot, session.encoder.getattr(0)));
    }
  }

  begin(slot: number): Message {
    const file = this.#next;
    this.#next = file + 1 === FILE_COUNT ? 0 : file + 1;
    this.#asked[slot] = file;
    const message = this.#messages[slot]!;
    message.set(this.#session.nextUnique(), this.#files.lo[file]!, this.#files.hi[file]!);
    return message;
  }

  answered(message: Message, used: number): null {
    message.expect(message.answerLen, used);
    const size = this.#words[(message.body + SIZE) / 4]!;
    if (size !== fileSize(this.#asked[message.slot]!)) throw message.wrong(`size ${size}`);
    return null;
  }

  verify(once: (slot: number) => void): void {
    const attr = new Attributes();
    for (let i = 0; i < FILE_COUNT; i++) {
      const slot = i % SLOTS;
      once(slot);
      const message = this.#messages[slot]!;
      readAttrOut(this.#session.ram.view, message.body, attr);
      const path = join(this.#shareDir, BENCH_DIR, FILES_DIR, fileName(this.#asked[slot]!));
      expectAttributes(message, attr, statSync(path, { bigint: true }));
    }
  }
}
