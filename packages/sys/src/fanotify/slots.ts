/**
 * What a truncation watch and its helper thread share: a table of events, each with a state that only moves by
 * compare-and-swap, so that the loop and the helper never both answer one.
 */

export const FREE = 0;
/** The helper filled it; the loop is to look. */
export const NEW = 1;
/** The loop has it. */
export const TAKEN = 2;
/** Allowed; the helper looks out for the end of it. */
export const ALLOWED = 3;
/** It has happened, or never will; the loop frees it. */
export const OVER = 4;
/** Nobody answered in time, and the helper refused it; the loop frees it. */
export const EXPIRED = 5;

export const TRUNCATION = 1;
/** A file has another size, or a writer closed it. */
export const CHANGE = 2;

const STATE = 0;
const KIND = 1;
const EVENT_FD = 2;
const THREAD = 3;
const SURE = 4;
const WORDS = 6;

const DEV = 0;
const INO_LO = 1;
const INO_HI = 2;
const SIZE = 3;
const SINCE = 4;
const DOUBLES = 5;

/** 0: starting. */
const LIFE = 0;
const CONTROL_WORDS = 2;
export const UP = 1;
export const ENDED = 2;
/** By an error of its own. */
export const BROKEN = 3;

/** The identity of a file: st_dev major * 2^32 + minor, and the inode number as two words. */
export interface FileKey {
  readonly dev: number;
  readonly inoLo: number;
  readonly inoHi: number;
}

/** One event; see the accessors. */
export interface EventFields extends FileKey {
  readonly kind: number;
  /** The descriptor that came with a question, or -1. */
  readonly eventFd: number;
  readonly thread: number;
  readonly sure: boolean;
  /** What the file would have, bytes. */
  readonly size: number;
  readonly since: number;
}

/** A view of the shared table; each side makes its own over the same buffer. */
export class EventSlots {
  readonly buffer: SharedArrayBuffer;
  readonly count: number;
  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  constructor(count: number, buffer: SharedArrayBuffer = EventSlots.allocate(count)) {
    this.buffer = buffer;
    this.count = count;
    const doubles = count * DOUBLES * 8;
    this.#doubles = new Float64Array(buffer, 0, count * DOUBLES);
    this.#words = new Int32Array(buffer, doubles, count * WORDS);
    this.#control = new Int32Array(buffer, doubles + count * WORDS * 4, CONTROL_WORDS);
  }

  static allocate(count: number): SharedArrayBuffer {
    return new SharedArrayBuffer(count * (DOUBLES * 8 + WORDS * 4) + CONTROL_WORDS * 4);
  }

  /** Where the helper is in its life. */
  get life(): number {
    return Atomics.load(this.#control, LIFE);
  }

  set life(life: number) {
    Atomics.store(this.#control, LIFE, life);
    Atomics.notify(this.#control, LIFE);
  }

  /** Sleeps while the helper's life stands at `life`. @returns false when `timeoutMs` passed */
  waitWhile(life: number, timeoutMs: number): boolean {
    return Atomics.wait(this.#control, LIFE, life, timeoutMs) !== 'timed-out';
  }

  state(slot: number): number {
    return Atomics.load(this.#words, slot * WORDS + STATE);
  }

  /** @returns whether the slot stood at `from` and now stands at `to` */
  move(slot: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, slot * WORDS + STATE, from, to) === from;
  }

  /** Fills a free slot and shows it to the loop. @returns the slot, or -1 when none is free */
  add(fields: EventFields): number {
    for (let slot = 0; slot < this.count; slot++) {
      if (this.state(slot) !== FREE) continue;
      const words = slot * WORDS;
      this.#words[words + KIND] = fields.kind;
      this.#words[words + EVENT_FD] = fields.eventFd;
      this.#words[words + THREAD] = fields.thread;
      this.#words[words + SURE] = fields.sure ? 1 : 0;
      const doubles = slot * DOUBLES;
      this.#doubles[doubles + DEV] = fields.dev;
      this.#doubles[doubles + INO_LO] = fields.inoLo;
      this.#doubles[doubles + INO_HI] = fields.inoHi;
      this.#doubles[doubles + SIZE] = fields.size;
      this.#doubles[doubles + SINCE] = fields.since;
      Atomics.store(this.#words, words + STATE, NEW);
      return slot;
    }
    return -1;
  }

  kind(slot: number): number {
    return this.#words[slot * WORDS + KIND]!;
  }

  eventFd(slot: number): number {
    return this.#words[slot * WORDS + EVENT_FD]!;
  }

  thread(slot: number): number {
    return this.#words[slot * WORDS + THREAD]!;
  }

  sure(slot: number): boolean {
    return this.#words[slot * WORDS + SURE] === 1;
  }

  size(slot: number): number {
    return this.#doubles[slot * DOUBLES + SIZE]!;
  }

  since(slot: number): number {
    return this.#doubles[slot * DOUBLES + SINCE]!;
  }

  /** The file's name in maps. */
  file(slot: number): string {
    const at = slot * DOUBLES;
    return fileName({
      dev: this.#doubles[at + DEV]!,
      inoLo: this.#doubles[at + INO_LO]!,
      inoHi: this.#doubles[at + INO_HI]!,
    });
  }
}

export function fileName({ dev, inoLo, inoHi }: FileKey): string {
  return `${dev}:${inoHi}:${inoLo}`;
}
