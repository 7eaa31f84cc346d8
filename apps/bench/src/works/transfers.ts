/** The order of offsets in which a file is read or written. */
import { DATA_BYTES } from '../share.ts';

/** `random`: every place once before any comes again, mixed; `sequential`: from the start, round and round. */
export type Pattern = 'random' | 'sequential';

/** What a transfer is. */
export interface Transfer {
  /** Bytes of one request, a multiple of the page size. */
  readonly bytes: number;
  readonly pattern: Pattern;
}

/** Multiplier and increment that give each number below a power of two once (Hull and Dobell). */
const FACTOR = 1664525;
const STEP = 1013904223;

/** Offsets of one transfer after another. */
export class Offsets {
  readonly #bytes: number;
  readonly #last: number;
  readonly #random: boolean;
  #place = 0;

  constructor({ bytes, pattern }: Transfer) {
    this.#bytes = bytes;
    this.#last = DATA_BYTES / bytes - 1;
    this.#random = pattern === 'random';
  }

  next(): number {
    const place = this.#place;
    this.#place = (this.#random ? Math.imul(place, FACTOR) + STEP : place + 1) & this.#last;
    return place * this.#bytes;
  }
}
