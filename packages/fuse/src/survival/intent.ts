/**
 * The record of one request in the journal: what the request is about to do, and what came of it. A request that was taken by
 * a process that ended comes once more; its record tells whether its effect is there already.
 */
import { TWO_32 } from '@oriel/layout';

/** u32 words of a record. */
export const INTENT_WORDS = 24;

const UNIQUE = 0;
const OPCODE = 2;
/** NONE, BEGUN or DONE; written last, as an atomic store, which the compiler moves nothing across. */
const PHASE = 3;
const RESULT = 4;
const PROGRESS = 5;
const NODEID = 6;
const COUNT = 8;
const FH = 10;
const FLAGS = 12;
/** Two files of three u32 words, and one u64. */
const FILES = 14;
const FILE_WORDS = 4;
const NUMBER = FILES + 2 * FILE_WORDS;

const NONE = 0;
const BEGUN = 1;
const DONE = 2;

// Of each name, shifted by its number: it was noted; it was about a file
const NOTED = 1;
const HAD = 4;
const NUMBERED = 16;

/** What a record says of a file: an inode on a device. */
export interface FileName {
  readonly inoLo: number;
  readonly inoHi: number;
  readonly devMajor: number;
  readonly devMinor: number;
}

/** A request's place in the journal. A Filesystem writes here what it needs to know its own effect again. */
export class Intent {
  /**
   * The request was begun by a process that ended, and the record is of it: its effect may be there, in part or whole.
   * Else the record is empty.
   */
  again = false;
  readonly #words: Uint32Array;
  readonly #phases: Int32Array;
  #at = 0;

  /** @param words - all records */
  constructor(words: Uint32Array) {
    this.#words = words;
    this.#phases = new Int32Array(words.buffer, words.byteOffset, words.length);
  }

  /**
   * Takes up the record of a request, or begins a new one in its place.
   * @param place - which record
   * @param taken - the request came out of the ring once more
   */
  begin(place: number, uniqueLo: number, uniqueHi: number, opcode: number, taken: boolean): void {
    const at = place * INTENT_WORDS;
    const words = this.#words;
    this.#at = at;
    this.again =
      taken &&
      words[at + UNIQUE] === uniqueLo &&
      words[at + UNIQUE + 1] === uniqueHi &&
      words[at + OPCODE] === opcode &&
      words[at + PHASE] !== NONE;
    if (this.again) return;
    Atomics.store(this.#phases, at + PHASE, NONE);
    for (let word = RESULT; word < INTENT_WORDS; word++) words[at + word] = 0;
    words[at + UNIQUE] = uniqueLo;
    words[at + UNIQUE + 1] = uniqueHi;
    words[at + OPCODE] = opcode;
    Atomics.store(this.#phases, at + PHASE, BEGUN);
  }

  /** The request was executed to its end, and `result` says with what result. */
  get done(): boolean {
    return this.#words[this.#at + PHASE] === DONE;
  }

  get result(): number {
    return this.#phases[this.#at + RESULT]!;
  }

  /** Notes the end. @param result - as a Filesystem's method returned it, at most 2^31 - 1 */
  finish(result: number): void {
    this.#phases[this.#at + RESULT] = result;
    Atomics.store(this.#phases, this.#at + PHASE, DONE);
  }

  /** The request was taken back: what it counted and opened is undone. */
  clear(): void {
    Atomics.store(this.#phases, this.#at + PHASE, NONE);
  }

  /** The inode that the request counted a lookup of, 0: none; and the lookups it had before. */
  get nodeid(): number {
    return this.#number(NODEID);
  }

  get countBefore(): number {
    return this.#number(COUNT);
  }

  /** Written before the lookup is counted. */
  counts(nodeid: number, countBefore: number): void {
    this.#put(COUNT, countBefore);
    this.#put(NODEID, nodeid);
    Atomics.store(this.#phases, this.#at + PHASE, BEGUN);
  }

  /** The handle that the request opens, 0: none; written before it is there. */
  get fh(): number {
    return this.#number(FH);
  }

  set fh(fh: number) {
    this.#put(FH, fh);
    Atomics.store(this.#phases, this.#at + PHASE, BEGUN);
  }

  /** How many parts of a request of several are done. */
  get progress(): number {
    return this.#words[this.#at + PROGRESS]!;
  }

  set progress(parts: number) {
    Atomics.store(this.#phases, this.#at + PROGRESS, parts);
  }

  /**
   * Notes of a request that counts many lookups which one it is about to count; `progress` is `index` + 1 then. What was noted
   * of the one before stays until the next.
   * @param index - from 0 on
   * @param digest - of all nodeids up to this one, u32
   */
  countsAt(index: number, nodeid: number, countBefore: number, digest: number): void {
    const words = this.#words;
    const at = this.#countAt(index);
    words[at] = nodeid >>> 0;
    words[at + 1] = Math.floor(nodeid / TWO_32);
    words[at + 2] = countBefore >>> 0;
    words[at + 3] = digest;
    this.progress = index + 1;
  }

  /** How many of them were counted, and stand in the reply; one less than `progress` while that is not known of the last. */
  get counted(): number {
    return this.#words[this.#at + FH]!;
  }

  set counted(count: number) {
    Atomics.store(this.#phases, this.#at + FH, count);
  }

  /** The nodeid that `countsAt` noted last, or the one before. */
  nodeidAt(index: number): number {
    const at = this.#countAt(index);
    return this.#words[at + 1]! * TWO_32 + this.#words[at]!;
  }

  /** The low 32 bits of the count that `countsAt` noted last, or before. */
  countBeforeAt(index: number): number {
    return this.#words[this.#countAt(index) + 2]!;
  }

  /** The digest that `countsAt` noted last, or before. */
  digestAt(index: number): number {
    return this.#words[this.#countAt(index) + 3]!;
  }

  /** A number that the Filesystem notes, a safe integer. */
  get number(): number {
    return this.#number(NUMBER);
  }

  set number(value: number) {
    this.#put(NUMBER, value);
    Atomics.store(this.#phases, this.#at + FLAGS, this.#words[this.#at + FLAGS]! | NUMBERED);
  }

  /** `number` was written. */
  get hasNumber(): boolean {
    return this.#flagged(NUMBERED);
  }

  /** Notes that a name is about a file (null: about none). @param which - 0 or 1 */
  note(which: 0 | 1, file: FileName | null): void {
    const words = this.#words;
    const at = this.#at + FILES + which * FILE_WORDS;
    words[at] = file === null ? 0 : file.inoLo;
    words[at + 1] = file === null ? 0 : file.inoHi;
    words[at + 2] = file === null ? 0 : file.devMajor;
    words[at + 3] = file === null ? 0 : file.devMinor;
    const flags = this.#words[this.#at + FLAGS]! & ~(HAD << which);
    Atomics.store(this.#phases, this.#at + FLAGS, flags | (NOTED << which) | (file === null ? 0 : HAD << which));
  }

  /** `note` was called. */
  noted(which: 0 | 1): boolean {
    return this.#flagged(NOTED << which);
  }

  /** The noted name was about a file, of which `of` tells. */
  hadFile(which: 0 | 1): boolean {
    return this.#flagged(HAD << which);
  }

  /** The name was about this very file. */
  isFile(which: 0 | 1, file: FileName): boolean {
    const words = this.#words;
    const at = this.#at + FILES + which * FILE_WORDS;
    return (
      this.#flagged(HAD << which) &&
      words[at] === file.inoLo &&
      words[at + 1] === file.inoHi &&
      words[at + 2] === file.devMajor &&
      words[at + 3] === file.devMinor
    );
  }

  /** Two by turns: a kill leaves the one whole that `progress` speaks of. */
  #countAt(index: number): number {
    return this.#at + FILES + (index & 1) * FILE_WORDS;
  }

  #flagged(flag: number): boolean {
    return (this.#words[this.#at + FLAGS]! & flag) !== 0;
  }

  #number(word: number): number {
    return this.#words[this.#at + word + 1]! * TWO_32 + this.#words[this.#at + word]!;
  }

  #put(word: number, value: number): void {
    this.#words[this.#at + word] = value >>> 0;
    this.#words[this.#at + word + 1] = Math.floor(value / TWO_32);
  }
}
