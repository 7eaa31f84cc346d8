/**
 * The state memory as blocks of one size. A record is a block with its fields, and as many more as its data wants. Changes are
 * staged and take effect together: a list of them is written, then its length in one store, then each is made. A process that
 * takes over makes them again where it finds a list, so that a kill comes before all of them or behind all.
 */

/** u32 words of a block. */
const WORDS = 32;
const BLOCK_BYTES = WORDS * 4;
const HEADER_WORDS = 128;
const HEADER_BYTES = HEADER_WORDS * 4;

/** "OrGP" */
const MAGIC = 0x5047_724f;
const VERSION = 1;
// Words of the header.
const MAGIC_AT = 0;
const VERSION_AT = 1;
const BLOCKS_AT = 2;
/** Free for the user of the blocks. */
const SPARE_AT = 3;
/** How many changes the list has; 0: it is none. Written last. */
const LIST_AT = 15;
const CHANGES_AT = 16;
const MAX_CHANGES = (HEADER_WORDS - CHANGES_AT) / 2;

/** Words of a record's first block: what the record is, 0: there is none. Those behind it have 0 there too. */
export const STATE = 0;
const NEXT = 1;
/** Bytes of data. */
const LENGTH = 2;
/** The first field of the record's own. */
export const FIELDS = 3;
/** Fields that a record has. */
export const FIELD_COUNT = 13;
/** The data begins here in the first block. */
const DATA = FIELDS + FIELD_COUNT;
/** And here in each other one. */
const MORE_DATA = 2;

/** Bytes of data that a record can have at most. */
const MAX_DATA = 1 << 20;
const NONE = 0xffff_ffff;
const NOTHING = new Uint8Array(0);

/** Bytes of so many blocks. */
export function bytesOfBlocks(count: number): number {
  return HEADER_BYTES + count * BLOCK_BYTES;
}

/** Blocks by number. All counts and links in them are checked when they are taken up. */
export class Blocks {
  readonly count: number;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  /** Numbers of free blocks, the next one last. */
  #free: Uint32Array = new Uint32Array(0);
  #freeCount = 0;
  #staged = 0;
  /** Records that the staged changes end. */
  readonly #ending: number[] = [];

  /** @param bytes - `bytesOfBlocks` of them, 4-aligned, shared with whoever keeps them */
  constructor(bytes: Uint8Array) {
    const { buffer, byteOffset, byteLength } = bytes;
    this.count = Math.floor((byteLength - HEADER_BYTES) / BLOCK_BYTES);
    this.#u8 = bytes;
    this.#u32 = new Uint32Array(buffer, byteOffset, byteLength >>> 2);
    this.#i32 = new Int32Array(buffer, byteOffset, byteLength >>> 2);
  }

  /** Takes memory that is all zero into use. */
  begin(): void {
    this.#u32[VERSION_AT] = VERSION;
    this.#u32[BLOCKS_AT] = this.count;
    this.#resetFree(new Uint8Array(this.count));
    Atomics.store(this.#i32, MAGIC_AT, MAGIC);
  }

  /** Nobody is to take this up any more. */
  end(): void {
    Atomics.store(this.#i32, MAGIC_AT, 0);
  }

  /**
   * Takes up what a process before left.
   * @returns the records, or null for what no program of this version left
   */
  recover(): number[] | null {
    const words = this.#u32;
    if (words[MAGIC_AT] !== MAGIC || words[VERSION_AT] !== VERSION || words[BLOCKS_AT] !== this.count) return null;
    if (words[LIST_AT]! > MAX_CHANGES) return null;
    this.#staged = words[LIST_AT]!;
    if (!this.#carryOut()) return null;
    const used = new Uint8Array(this.count);
    const records: number[] = [];
    for (let block = 0; block < this.count; block++) {
      if (words[this.#at(block)] === 0) continue;
      if (!this.#claim(block, used)) return null;
      records.push(block);
    }
    this.#resetFree(used);
    return records;
  }

  /** A word of the header for the user's own. */
  get spare(): number {
    return this.#u32[SPARE_AT]!;
  }

  set spare(value: number) {
    Atomics.store(this.#i32, SPARE_AT, value | 0);
  }

  /** As `spare = value`, together with the other staged changes. */
  stageSpare(value: number): void {
    this.#stage(SPARE_AT, value);
  }

  /**
   * Writes a record that is not there until its STATE was staged and committed.
   * @returns its number, or -1 when there is no room
   */
  allocate(data: Uint8Array = NOTHING): number {
    const more = Math.ceil(Math.max(0, data.length - (WORDS - DATA) * 4) / ((WORDS - MORE_DATA) * 4));
    if (more + 1 > this.#freeCount || data.length > MAX_DATA) return -1;
    const first = this.#pop();
    const words = this.#u32;
    const at = this.#at(first);
    words.fill(0, at + FIELDS, at + DATA);
    words[at + LENGTH] = data.length;
    words[at + NEXT] = NONE;
    let copied = this.#put(at + DATA, (WORDS - DATA) * 4, data, 0);
    for (let link = at + NEXT; copied < data.length; ) {
      const block = this.#pop();
      const next = this.#at(block);
      words[link] = block;
      words[next + NEXT] = NONE;
      link = next + NEXT;
      copied += this.#put(next + MORE_DATA, (WORDS - MORE_DATA) * 4, data, copied);
    }
    return first;
  }

  /** The data of a record, a copy. */
  data(record: number): Uint8Array {
    const words = this.#u32;
    const first = this.#at(record);
    const bytes = new Uint8Array(words[first + LENGTH]!);
    const { byteOffset } = this.#u8;
    const take = (word: number, room: number, done: number): number => {
      const len = Math.min(room, bytes.length - done);
      bytes.set(new Uint8Array(this.#u8.buffer, byteOffset + word * 4, len), done);
      return len;
    };
    let done = take(first + DATA, (WORDS - DATA) * 4, 0);
    for (let at = first; done < bytes.length; ) {
      at = this.#at(words[at + NEXT]!);
      done += take(at + MORE_DATA, (WORDS - MORE_DATA) * 4, done);
    }
    return bytes;
  }

  /** A word of a record: STATE, or one from FIELDS on. */
  get(record: number, word: number): number {
    return this.#u32[this.#at(record) + word]!;
  }

  /** Writes a word at once, by an atomic store. */
  set(record: number, word: number, value: number): void {
    Atomics.store(this.#i32, this.#at(record) + word, value | 0);
  }

  /** Notes a change for the next `commit`. */
  stage(record: number, word: number, value: number): void {
    if (word === STATE && value === 0) this.#ending.push(record);
    this.#stage(this.#at(record) + word, value);
  }

  /** True when changes wait for `commit`. */
  get staged(): boolean {
    return this.#staged > 0;
  }

  /** Makes all staged changes, or, where the process is killed, none. */
  commit(): void {
    if (this.#staged === 0) return;
    Atomics.store(this.#i32, LIST_AT, this.#staged);
    this.#carryOut();
    for (const record of this.#ending.splice(0)) this.#release(record);
  }

  /** Ends a record by itself, at once. */
  drop(record: number): void {
    this.set(record, STATE, 0);
    this.#release(record);
  }

  /** @returns false for a list that no program could have left */
  #carryOut(): boolean {
    const words = this.#u32;
    for (let change = 0; change < this.#staged; change++) {
      const word = words[CHANGES_AT + change * 2]!;
      if (word >= words.length || (word < HEADER_WORDS && word !== SPARE_AT)) return false;
      words[word] = words[CHANGES_AT + change * 2 + 1]!;
    }
    Atomics.store(this.#i32, LIST_AT, 0);
    this.#staged = 0;
    return true;
  }

  #stage(word: number, value: number): void {
    if (this.#staged === MAX_CHANGES) throw new RangeError(`more than ${MAX_CHANGES} changes at a time`);
    this.#u32[CHANGES_AT + this.#staged * 2] = word;
    this.#u32[CHANGES_AT + this.#staged * 2 + 1] = value;
    this.#staged++;
  }

  /** Marks a record's blocks as used. @returns false for links that no program could have left */
  #claim(record: number, used: Uint8Array): boolean {
    const words = this.#u32;
    const length = words[this.#at(record) + LENGTH]!;
    if (length > MAX_DATA) return false;
    let left = length - (WORDS - DATA) * 4;
    for (let block = record; ; left -= (WORDS - MORE_DATA) * 4) {
      if (block >= this.count || used[block] === 1 || (block !== record && words[this.#at(block)] !== 0)) return false;
      used[block] = 1;
      if (left <= 0) return true;
      block = words[this.#at(block) + NEXT]!;
    }
  }

  #resetFree(used: Uint8Array): void {
    this.#free = new Uint32Array(this.count);
    this.#freeCount = 0;
    // The lowest is taken first, so that memory is touched only where it is wanted.
    for (let block = this.count - 1; block >= 0; block--) {
      if (used[block] === 0) this.#free[this.#freeCount++] = block;
    }
  }

  #release(record: number): void {
    const words = this.#u32;
    let left = words[this.#at(record) + LENGTH]! - (WORDS - DATA) * 4;
    for (let block = record; ; left -= (WORDS - MORE_DATA) * 4) {
      this.#free[this.#freeCount++] = block;
      if (left <= 0) return;
      block = words[this.#at(block) + NEXT]!;
    }
  }

  #put(word: number, room: number, data: Uint8Array, from: number): number {
    const len = Math.min(room, data.length - from);
    new Uint8Array(this.#u8.buffer, this.#u8.byteOffset + word * 4, len).set(data.subarray(from, from + len));
    return len;
  }

  #pop(): number {
    return this.#free[--this.#freeCount]!;
  }

  #at(block: number): number {
    return HEADER_WORDS + block * WORDS;
  }
}
