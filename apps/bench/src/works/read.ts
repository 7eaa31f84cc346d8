/** READ of one file, into pages that lie apart. */
import { FuseReadIn } from '@oriel/fuse';
import { O_RDWR } from '@oriel/sys';
import { Message } from '../driver/message.ts';
import { PAGE } from '../driver/ram.ts';
import type { Session } from '../driver/session.ts';
import { SLOTS, type Work } from '../driver/work.ts';
import { BENCH_DIR, DATA_BYTES, READ_FILE, wordAt } from '../share.ts';
import { Offsets, type Transfer } from './transfers.ts';

const OFFSET = FuseReadIn.offset.offset;
/** From this many bytes on each operation is timed: a look at the clock costs nothing beside it. */
const LARGE = 64 << 10;

/** The workloads `read-*`. */
export class ReadWork implements Work {
  readonly sampleEvery: number;
  readonly #session: Session;
  readonly #words: Uint32Array;
  readonly #bytes: number;
  readonly #offsets: Offsets;
  readonly #nodeid: number;
  readonly #messages: Message[] = [];
  readonly #asked = new Float64Array(SLOTS);

  constructor(session: Session, transfer: Transfer) {
    const { ram, encoder } = session;
    const { bytes } = transfer;
    this.sampleEvery = bytes < LARGE ? 16 : 1;
    this.#session = session;
    this.#words = ram.words;
    this.#bytes = bytes;
    this.#offsets = new Offsets(transfer);
    this.#nodeid = session.resolve(BENCH_DIR, READ_FILE);
    const { fh } = session.ask(encoder.open(this.#nodeid, O_RDWR));
    for (let slot = 0; slot < SLOTS; slot++) {
      const data = { pages: ram.takePages(bytes / PAGE), direction: 'read' } as const;
      const request = encoder.read(this.#nodeid, fh, 0, bytes, O_RDWR);
      this.#messages.push(new Message(ram, session.queueOf(slot), slot, request, data));
    }
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
    // The first word of the last page: the rest is compared in the verification pass.
    const { pages } = message;
    const offset = this.#asked[message.slot]! + (pages.length - 1) * PAGE;
    if (this.#words[pages[pages.length - 1]! / 4] !== wordAt(offset)) throw message.wrong('data of another place');
    return null;
  }

  /** Every byte of the file, once. */
  verify(once: (slot: number) => void): void {
    for (let i = 0; i < DATA_BYTES / this.#bytes; i++) {
      const slot = i % SLOTS;
      const message = this.#messages[slot]!;
      for (const page of message.pages) this.#words.fill(0, page / 4, (page + PAGE) / 4);
      once(slot);
      const offset = this.#asked[slot]!;
      for (const [index, page] of message.pages.entries()) this.#comparePage(message, page, offset + index * PAGE);
    }
  }

  #comparePage(message: Message, page: number, offset: number): void {
    for (let at = 0; at < PAGE; at += 4) {
      const word = this.#words[(page + at) / 4]!;
      if (word !== wordAt(offset + at)) throw message.wrong(`${word} at byte ${offset + at} of the file`);
    }
  }
}
