/** Whole listings of a folder: OPENDIR, READDIRPLUS to the end, RELEASEDIR. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FuseDirent, FuseDirentplus, FuseEntryOut, FuseOpenOut, FuseReadIn, FuseReleaseIn } from '@oriel/fuse';
import { readRecords } from '@oriel/fuse/client';
import { Message } from '../driver/message.ts';
import { PAGE } from '../driver/ram.ts';
import type { Session } from '../driver/session.ts';
import { SLOTS, type Work } from '../driver/work.ts';
import { BENCH_DIR, LIST_COUNT, LIST_DIR } from '../share.ts';
import { expectAttributes } from './attributes.ts';

/** Bytes of each READDIRPLUS: the buffer that glibc's readdir has, which Linux hands on. */
const BYTES = 32 << 10;
/** All files, and the two dots. */
const RECORDS = LIST_COUNT + 2;
const OUT_HEADER = 16;
const RECORD = FuseDirentplus.byteLength;
const OFF = (FuseEntryOut.byteLength + FuseDirent.off.offset) / 4;
const NAME_LEN = (FuseEntryOut.byteLength + FuseDirent.namelen.offset) / 4;

/** The workload `readdirplus`. */
export class ReaddirplusWork implements Work {
  readonly sampleEvery = 1;
  readonly #session: Session;
  readonly #path: string;
  readonly #words: Uint32Array;
  readonly #nodeid: number;
  readonly #opens: Message[] = [];
  readonly #reads: Message[] = [];
  readonly #releases: Message[] = [];
  /** Records that each slot's listing has brought. */
  readonly #records = new Uint32Array(SLOTS);
  #onRecords: ((message: Message, bytes: number) => void) | null = null;

  constructor(session: Session, shareDir: string) {
    const { ram, encoder } = session;
    this.#session = session;
    this.#path = join(shareDir, BENCH_DIR, LIST_DIR);
    this.#words = ram.words;
    this.#nodeid = session.resolve(BENCH_DIR, LIST_DIR);
    const nodeid = this.#nodeid;
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = ram.take(BYTES, PAGE);
      const data = {
        pages: Uint32Array.from({ length: BYTES / PAGE }, (_, i) => at + i * PAGE),
        direction: 'read',
      } as const;
      this.#opens.push(new Message(ram, session.queueOf(slot), slot, encoder.opendir(nodeid)));
      this.#reads.push(
        new Message(ram, session.queueOf(slot), slot, encoder.readdirplus(nodeid, 0, 0, 0, BYTES), data),
      );
      this.#releases.push(new Message(ram, session.queueOf(slot), slot, encoder.releasedir(nodeid, 0)));
    }
  }

  begin(slot: number): Message {
    this.#records[slot] = 0;
    const message = this.#opens[slot]!;
    message.set(this.#session.nextUnique(), this.#nodeid, 0);
    return message;
  }

  answered(message: Message, used: number): Message | null {
    const { slot } = message;
    const read = this.#reads[slot]!;
    if (message === read) return this.#walk(read, message.lengthOf(used) - OUT_HEADER);
    message.expect(message.answerLen, used);
    const release = this.#releases[slot]!;
    if (message === release) return null;
    const words = this.#words;
    const lo = words[(message.body + FuseOpenOut.fh.offset) / 4]!;
    const hi = words[(message.body + FuseOpenOut.fh.offset) / 4 + 1]!;
    for (const [at, field] of [
      [read.args, FuseReadIn.fh],
      [release.args, FuseReleaseIn.fh],
    ] as const) {
      words[(at + field.offset) / 4] = lo;
      words[(at + field.offset) / 4 + 1] = hi;
    }
    return this.#readFrom(read, 0, 0);
  }

  /** Compares names and attributes of whole listings with the host's. */
  verify(once: (slot: number) => void): void {
    const { u8 } = this.#session.ram;
    const wanted = new Set(readdirSync(this.#path));
    for (const slot of [0, SLOTS - 1]) {
      const names = new Set<string>();
      this.#onRecords = (message, bytes) => {
        for (const { name, entry } of readRecords(u8, message.pages[0]!, message.pages[0]! + bytes, true)) {
          if (name === '.' || name === '..') continue;
          if (entry === null || !wanted.has(name) || names.has(name)) throw message.wrong(`the record of ${name}`);
          names.add(name);
          expectAttributes(message, entry.attr, statSync(join(this.#path, name), { bigint: true }));
        }
      };
      once(slot);
      this.#onRecords = null;
      if (names.size !== wanted.size) throw this.#reads[slot]!.wrong(`${names.size} names of ${wanted.size}`);
    }
  }

  #readFrom(read: Message, lo: number, hi: number): Message {
    read.set(this.#session.nextUnique(), this.#nodeid, 0);
    this.#words[(read.args + FuseReadIn.offset.offset) / 4] = lo;
    this.#words[(read.args + FuseReadIn.offset.offset) / 4 + 1] = hi;
    return read;
  }

  /** Counts records, and asks for those behind the last. */
  #walk(read: Message, bytes: number): Message {
    const { slot } = read;
    const words = this.#words;
    if (this.#onRecords !== null) this.#onRecords(read, bytes);
    if (bytes === 0) {
      if (this.#records[slot] !== RECORDS) throw read.wrong(`${this.#records[slot]} records of ${RECORDS}`);
      const release = this.#releases[slot]!;
      release.set(this.#session.nextUnique(), this.#nodeid, 0);
      return release;
    }
    const end = (read.pages[0]! + bytes) / 4;
    let at = read.pages[0]! / 4;
    let last = at;
    let count = 0;
    while (at < end) {
      last = at;
      at += ((RECORD + words[at + NAME_LEN]! + 7) & ~7) >>> 2;
      count++;
    }
    if (at !== end) throw read.wrong(`a record that ends ${(at - end) * 4} bytes behind the answer`);
    this.#records[slot]! += count;
    return this.#readFrom(read, words[last + OFF]!, words[last + OFF + 1]!);
  }
}
