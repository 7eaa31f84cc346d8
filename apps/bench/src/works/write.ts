/** WRITE to one file, from pages that lie apart; each slot has data of its own. */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { FuseWriteIn, FuseWriteOut } from '@oriel/fuse';
import { O_RDWR } from '@oriel/sys';
import { Message } from '../driver/message.ts';
import { PAGE } from '../driver/ram.ts';
import type { Session } from '../driver/session.ts';
import { SLOTS, type Work } from '../driver/work.ts';
import { BENCH_DIR, DATA_BYTES, WRITE_FILE } from '../share.ts';
import { Offsets, type Transfer } from './transfers.ts';

const OFFSET = FuseWriteIn.offset.offset;
const COUNT = FuseWriteOut.size.offset;
const LARGE = 64 << 10;

/** The workloads `write-*`. */
export class WriteWork implements Work {
  readonly sampleEvery: number;
  readonly #session: Session;
  readonly #path: string;
  readonly #words: Uint32Array;
  readonly #bytes: number;
  readonly #offsets: Offsets;
  readonly #nodeid: number;
  readonly #messages: Message[] = [];
  readonly #asked = new Float64Array(SLOTS);

  constructor(session: Session, shareDir: string, transfer: Transfer) {
    const { ram, encoder } = session;
    const { bytes } = transfer;
    this.sampleEvery = bytes < LARGE ? 16 : 1;
    this.#session = session;
    this.#path = join(shareDir, BENCH_DIR, WRITE_FILE);
    this.#words = ram.words;
    this.#bytes = bytes;
    this.#offsets = new Offsets(transfer);
    this.#nodeid = session.resolve(BENCH_DIR, WRITE_FILE);
    const { fh } = session.ask(encoder.open(this.#nodeid, O_RDWR));
    for (let slot = 0; slot < SLOTS; slot++) {
      const data = { pages: ram.takePages(bytes / PAGE), direction: 'write' } as const;
      const request = encoder.write(this.#nodeid, fh, 0, bytes, O_RDWR);
      this.#messages.push(new Message(ram, session.queueOf(slot), slot, request, data));
    }
    this.#fill(0);
  }

  begin(slot: number): Message {
    const offset = this.#offsets.next();
    this.#asked[slot] = offset;
    const message = this.#messages[slot]!;
    message.set(this.#session.nextUnique(), this.#nodeid, 0);
    this.#words[(message.args + OFFSET) / 4] = offset;
    return message;
  }

  answered(message: Message, used: number): null {
    message.expect(message.answerLen, used);
    const count = this.#words[(message.body + COUNT) / 4]!;
    if (count !== this.#bytes) throw message.wrong(`${count} bytes written of ${this.#bytes}`);
    return null;
  }

  /** Every byte of the file, once; what the host reads must be what was sent. */
  verify(once: (slot: number) => void): void {
    const { u8 } = this.#session.ram;
    const file = openSync(this.#path, 'r');
    const seen = Buffer.alloc(PAGE);
    try {
      for (let i = 0; i < DATA_BYTES / this.#bytes; i++) {
        const slot = i % SLOTS;
        // Other bytes than those that an earlier pass or the other back-end has left there.
        if (slot === 0) this.#fill(process.pid + i + 1);
        once(slot);
        const message = this.#messages[slot]!;
        for (const [index, page] of message.pages.entries()) {
          const offset = this.#asked[slot]! + index * PAGE;
          const got = readSync(file, seen, 0, PAGE, offset);
          if (got !== PAGE || seen.compare(u8, page, page + PAGE) !== 0) {
            throw message.wrong(`the page at byte ${offset} of the file is not what was written`);
          }
        }
      }
    } finally {
      closeSync(file);
    }
  }

  #fill(seed: number): void {
    const words = this.#words;
    for (const { slot, pages } of this.#messages) {
      let value = (seed * SLOTS + slot) >>> 0;
      for (const page of pages) {
        for (let at = page / 4; at < (page + PAGE) / 4; at++) {
          value = (Math.imul(value, 1664525) + 1013904223) >>> 0;
          words[at] = value;
        }
      }
    }
  }
}
