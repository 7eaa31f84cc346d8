/**
 * The text "/proc/self/fd/N" of every descriptor, kept ready in native memory: opening an inode anew is then one
 * openat("N") on the directory /proc/self/fd, with nothing to encode.
 */
import { type Address, Mapping, type SysMem } from '@oriel/sys';
import { writeDecimal } from './decimal.ts';

const PREFIX = '/proc/self/fd/';
/** Prefix, ten digits, NUL, rounded up. */
const TEXT_LEN = 32;
const CHUNK_BITS = 8;
const CHUNK_TEXTS = 1 << CHUNK_BITS;

/** Texts by descriptor. */
export class FdNames implements Disposable {
  readonly #mem: SysMem;
  readonly #chunks: Mapping[] = [];
  /** Of the chunk with the texts of 256 descriptors; 0 where it is not made yet. */
  readonly #addresses: Address[] = [];

  constructor(mem: SysMem) {
    this.#mem = mem;
  }

  /** Address of "/proc/self/fd/N". @throws SysError ENOMEM */
  path(fd: number): Address {
    const index = fd >>> CHUNK_BITS;
    const address = index < this.#addresses.length ? this.#addresses[index]! : 0;
    return (address === 0 ? this.#addChunk(index) : address) + (fd & (CHUNK_TEXTS - 1)) * TEXT_LEN;
  }

  /** Address of "N", to be used relative to /proc/self/fd. @throws SysError ENOMEM */
  number(fd: number): Address {
    return this.path(fd) + PREFIX.length;
  }

  [Symbol.dispose](): void {
    for (const chunk of this.#chunks) {
      chunk[Symbol.dispose]();
    }
    this.#chunks.length = 0;
    this.#addresses.length = 0;
  }

  #addChunk(index: number): Address {
    const chunk = Mapping.anonymous(this.#mem, CHUNK_TEXTS * TEXT_LEN);
    const bytes = chunk.u8;
    for (let text = 0; text < CHUNK_TEXTS; text++) {
      const at = text * TEXT_LEN;
      for (let letter = 0; letter < PREFIX.length; letter++) {
        bytes[at + letter] = PREFIX.charCodeAt(letter);
      }
      writeDecimal(bytes, at + PREFIX.length, (index << CHUNK_BITS) + text);
    }
    this.#chunks.push(chunk);
    while (this.#addresses.length <= index) {
      this.#addresses.push(0);
    }
    this.#addresses[index] = chunk.addr;
    return chunk.addr;
  }
}
