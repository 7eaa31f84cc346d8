/**
 * The window's part of a journal: which range of the window stands for what part of which file, and in what mappings at the
 * front-end. Those outlive the process, so that another one takes them up as they are.
 */
import { TWO_32 } from '@oriel/layout';

/** u32 words of a range's record. */
const WORDS = 16;
/** Mappings that a range can have at most. */
const MAX_PIECES = 8;
const PAGE_SHIFT = 12;

const NODEID = 0;
const FOFFSET = 2;
const LEN = 4;
/** How many pieces are mapped; written last. */
const PIECES = 5;
/** Where the piece ends that was asked for and not answered, pages; 0: none. Written before the request is sent. */
const ASKED = 6;
/** Where each piece ends, pages in the range. */
const ENDS = 8;

/** What a record says, bytes. */
export interface RangeNote {
  readonly nodeid: number;
  readonly foffset: number;
  readonly len: number;
  /** Where each mapping ends, in the range; the first begins at 0, each other where the one before ends. */
  readonly ends: readonly number[];
  /** Where a mapping would end of which nobody knows whether it was made; 0: there is none. */
  readonly asked: number;
}

/** Bytes of the journal of a window. @param ranges - of 2 MiB */
export function rangeJournalBytes(ranges: number): number {
  return ranges * WORDS * 4;
}

/** One record a range of the window. */
export class RangeJournal {
  readonly #words: Int32Array;

  /** @param bytes - 4-aligned, `rangeJournalBytes` of them */
  constructor(bytes: Uint8Array) {
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  /** A range is given to a part of a file; nothing of it is mapped. */
  place(index: number, nodeid: number, foffset: number, len: number): void {
    const at = index * WORDS;
    const words = this.#words;
    this.clear(index);
    words[at + NODEID + 1] = Math.floor(nodeid / TWO_32);
    words[at + FOFFSET] = (foffset % TWO_32) | 0;
    words[at + FOFFSET + 1] = Math.floor(foffset / TWO_32);
    words[at + LEN] = len;
    Atomics.store(words, at + NODEID, (nodeid % TWO_32) | 0);
  }

  /** A mapping from the last piece's end to `end` is about to be asked for; 0: nothing is asked for any more. */
  ask(index: number, end: number): void {
    Atomics.store(this.#words, index * WORDS + ASKED, Math.ceil(end / 2 ** PAGE_SHIFT));
  }

  /** These mappings are there. @param count - of pieces; `end` is where the last one ends */
  have(index: number, count: number, end: number): void {
    const at = index * WORDS;
    if (count > 0) this.#words[at + ENDS + count - 1] = end >>> PAGE_SHIFT;
    Atomics.store(this.#words, at + PIECES, count);
  }

  /** The range is free. */
  clear(index: number): void {
    const at = index * WORDS;
    Atomics.store(this.#words, at + NODEID, 0);
    for (let word = 1; word < WORDS; word++) this.#words[at + word] = 0;
  }

  /** What a record says, or null for a free range, and for one that no window could have written. @param limit - bytes of a range */
  read(index: number, limit: number): RangeNote | null {
    const at = index * WORDS;
    const words = this.#words;
    const nodeid = (words[at + NODEID + 1]! >>> 0) * TWO_32 + (words[at + NODEID]! >>> 0);
    const foffset = (words[at + FOFFSET + 1]! >>> 0) * TWO_32 + (words[at + FOFFSET]! >>> 0);
    const len = words[at + LEN]!;
    const count = words[at + PIECES]!;
    const asked = words[at + ASKED]! * 2 ** PAGE_SHIFT;
    if (nodeid === 0 || !Number.isSafeInteger(nodeid) || !(len > 0 && len <= limit)) return null;
    if (!Number.isSafeInteger(foffset + limit) || foffset % 2 ** PAGE_SHIFT !== 0) return null;
    if (!(count >= 0 && count <= MAX_PIECES) || !(asked >= 0 && asked <= limit)) return null;
    const ends: number[] = [];
    for (let piece = 0; piece < count; piece++) {
      const end = words[at + ENDS + piece]! * 2 ** PAGE_SHIFT;
      if (!(end > (ends.at(-1) ?? 0) && end <= limit)) return null;
      ends.push(end);
    }
    return { nodeid, foffset, len, ends, asked };
  }
}
