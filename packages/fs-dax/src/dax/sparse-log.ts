/** Log lines that a guest can cause at will, kept rare. */
import type { Logger } from '@oriel/sys';

/** Writes the first, second, fourth, eighth, ... line of one kind. */
export class SparseLog {
  readonly #log: Logger;
  readonly #level: 'error' | 'warn';
  readonly #message: string;
  #count = 0;

  constructor(log: Logger, level: 'error' | 'warn', message: string) {
    this.#log = log;
    this.#level = level;
    this.#message = message;
  }

  add(fields: Record<string, unknown>): void {
    const count = ++this.#count;
    if (Number.isInteger(Math.log2(count))) this.#log[this.#level](this.#message, { ...fields, count });
  }
}
