/**
 * The text "/proc/self/fd/N" of a descriptor, kept ready in native memory for every slot of a table: opening an inode
 * anew is then one openat("N") on the directory /proc/self/fd, with nothing to encode.
 */
import { type Address, Mapping, type SysMem } from '@oriel/sys';
import { writeDecimal } from './decimal.ts';

const PREFIX = '/proc/self/fd/';
/** Prefix, ten digits, NUL, rounded up. */
const SLOT_LEN = 32;
const CHUNK_BITS = 12;
const CHUNK_SLOTS = 1 << CHUNK_BITS;

/** The slot for a text that is needed for one call only; tables never hand it out. */
export const TEMPORARY = 0;

/** Descriptor texts by slot. */
export class FdNames implements Disposable {
  readonly #mem: SysMem;
  readonly #chunks: Mapping[] = [];
  readonly #addresses: Address[] = [];

  constructor(mem: SysMem) {
    this.#mem = mem;
  }

  /** Writes the text of `fd` for `slot`. @throws SysError ENOMEM */
  set(slot: number, fd: number): void {
    const index = slot >>> CHUNK_BITS;
    while (index >= this.#chunks.length) {
      this.#addChunk();
    }
    const bytes = this.#chunks[index]!.u8;
    writeDecimal(bytes, (slot & (CHUNK_SLOTS - 1)) * SLOT_LEN + PREFIX.length, fd);
  }

  /** Address of "/proc/self/fd/N". */
  path(slot: number): Address {
    return this.#addresses[slot >>> CHUNK_BITS]! + (slot & (CHUNK_SLOTS - 1)) * SLOT_LEN;
  }

  /** Address of "N", to be used relative to /proc/self/fd. */
  number(slot: number): Address {
    return this.path(slot) + PREFIX.length;
  }

  [Symbol.dispose](): void {
    for (const chunk of this.#chunks) {
      chunk[Symbol.dispose]();
    }
    this.#chunks.length = 0;
    this.#addresses.length = 0;
  }

  #addChunk(): void {
    const chunk = Mapping.anonymous(this.#mem, CHUNK_SLOTS * SLOT_LEN);
    const bytes = chunk.u8;
    for (let slot = 0; slot < CHUNK_SLOTS; slot++) {
      for (let index = 0; index < PREFIX.length; index++) {
        bytes[slot * SLOT_LEN + index] = PREFIX.charCodeAt(index);
      }
    }
    this.#chunks.push(chunk);
    this.#addresses.push(chunk.addr);
  }
}
