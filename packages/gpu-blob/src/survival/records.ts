/**
 * Records of what a guest has made, one for each thing. A thing that belongs to another names it by its serial number, and is
 * of no account without it: so the end of one record ends those below it too.
 */
import { fromParts } from '@oriel/layout';
import { Blocks, FIELDS, STATE } from './blocks.ts';

export { STATE };

/** Kinds of records. */
export const RESOURCE = 1;
export const MEMORY = 2;
export const BACKING = 3;
export const MAPPING = 4;
export const UUID = 5;
export const CONTEXT = 6;
export const ATTACHMENT = 7;
export const SCANOUT = 8;
export const CURSOR = 9;
export const ANSWER = 10;
/** A request that was under way when the device was handed over. */
export const KEPT = 11;
export const OUTPUTS = 12;

/** States of a record; 0: it is none. */
export const LIVE = 1;
/** Of a resource: its id is free, and its mapping on the way out. */
export const DROPPED = 2;

const KIND = FIELDS;
const SERIAL = FIELDS + 1;
const PARENT = FIELDS + 3;
/** The guest's number of the thing. */
export const KEY = FIELDS + 5;
/** The first of `VALUES` words that mean what the kind says. */
export const VALUE = FIELDS + 6;
export const VALUES = 7;
const TWO_32 = 2 ** 32;

/** A record with what all have. */
export interface Found {
  readonly record: number;
  readonly kind: number;
  readonly state: number;
  readonly serial: number;
  readonly parent: number;
  readonly key: number;
}

/** What a new record is made of. */
export interface NewRecord {
  readonly kind: number;
  readonly key: number;
  /** The serial number of what it belongs to; default 0: nothing. */
  readonly parent?: number;
  /** At most 7. */
  readonly values?: readonly number[];
  readonly data?: Uint8Array;
}

/** The records of a session. */
export class Records {
  /** Why nothing is written any more; null while all is well. */
  failed: string | null = null;
  readonly #blocks: Blocks;
  #next = 1;

  constructor(bytes: Uint8Array) {
    this.#blocks = new Blocks(bytes);
  }

  begin(): void {
    this.#blocks.begin();
  }

  /** @returns what a process before left, in the order of its making; null for what cannot be taken up */
  recover(): readonly Found[] | null {
    const blocks = this.#blocks;
    const left = blocks.recover()?.map((record) => ({
      record,
      kind: blocks.get(record, KIND),
      state: blocks.get(record, STATE),
      serial: this.number(record, SERIAL),
      parent: this.number(record, PARENT),
      key: blocks.get(record, KEY),
    }));
    if (left === undefined || left.some(({ serial }) => !Number.isSafeInteger(serial))) return null;
    left.sort((a, b) => a.serial - b.serial);
    this.#next = (left.at(-1)?.serial ?? 0) + 1;
    return left;
  }

  /** Nothing is written from now on, and nobody takes up what stands there. */
  fail(reason: string): void {
    if (this.failed === null) this.#blocks.end();
    this.failed ??= reason;
  }

  /** Writes a record, which is staged. @returns its number; -1 when there was no room */
  add({ kind, key, parent = 0, values = [], data }: NewRecord): number {
    if (this.failed !== null) return -1;
    const blocks = this.#blocks;
    const record = blocks.allocate(data);
    if (record < 0) {
      this.fail('its state memory is full');
      return -1;
    }
    blocks.set(record, KIND, kind);
    blocks.set(record, KEY, key);
    this.#put(record, SERIAL, this.#next++);
    this.#put(record, PARENT, parent);
    for (let value = 0; value < Math.min(values.length, VALUES); value++) {
      blocks.set(record, VALUE + value, values[value]!);
    }
    blocks.stage(record, STATE, LIVE);
    return record;
  }

  serial(record: number): number {
    return record < 0 ? 0 : this.number(record, SERIAL);
  }

  get(record: number, word: number): number {
    return this.#blocks.get(record, word);
  }

  /** A number of two words. */
  number(record: number, word: number): number {
    return fromParts(this.#blocks.get(record, word), this.#blocks.get(record, word + 1));
  }

  data(record: number): Uint8Array {
    return this.#blocks.data(record);
  }

  /** Writes a word at once. */
  set(record: number, word: number, value: number): void {
    if (this.failed === null) this.#blocks.set(record, word, value);
  }

  /** Notes that a word changes with the next `commit`. */
  stage(record: number, word: number, value: number): void {
    if (this.failed === null) this.#blocks.stage(record, word, value);
  }

  /** Notes that a record ends with the next `commit`. */
  stageEnd(record: number): void {
    this.stage(record, STATE, 0);
  }

  /** Ends a record at once. */
  end(record: number): void {
    if (this.failed === null) this.#blocks.drop(record);
  }

  get staged(): boolean {
    return this.failed === null && this.#blocks.staged;
  }

  commit(): void {
    if (this.failed === null) this.#blocks.commit();
  }

  /** A word beside the records, 0 at first. */
  get spare(): number {
    return this.#blocks.spare;
  }

  set spare(value: number) {
    if (this.failed === null) this.#blocks.spare = value;
  }

  stageSpare(value: number): void {
    if (this.failed === null) this.#blocks.stageSpare(value);
  }

  #put(record: number, word: number, value: number): void {
    this.#blocks.set(record, word, value % TWO_32);
    this.#blocks.set(record, word + 1, Math.floor(value / TWO_32));
  }
}

/** The words of a number in `NewRecord.values`. */
export function parts(value: number): readonly [number, number] {
  return [value % TWO_32, Math.floor(value / TWO_32)];
}
