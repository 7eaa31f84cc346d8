/**
 * Where the open directories stand. They share a few buffers, since a stream needs one only for the records that did not
 * fit into one reply; a stream that lost its buffer to another seeks to its place again.
 */
import { fromParts, toBigInt, UNSAFE_HI } from '@oriel/layout';
import { SEEK_SET, type SysFile, type SysMem } from '@oriel/sys';
import { DirBuffer, NOBODY } from './dir-buffer.ts';

const BUFFERS = 32;

/** Streams by the slot of their handle. */
export class DirStreams implements Disposable {
  readonly #mem: SysMem;
  readonly #file: SysFile;
  readonly #buffers: DirBuffer[] = [];
  /** Streams whose descriptor no longer stands at the first record. */
  readonly #moved = new Set<number>();
  #next = 0;

  constructor(mem: SysMem, file: SysFile) {
    this.#mem = mem;
    this.#file = file;
  }

  /**
   * Brings a stream to a cookie; when it stands there already, nothing is asked of the kernel.
   * @param fd - the stream's descriptor
   * @returns the index of the buffer in which it goes on (see `buffer`), or a negative errno
   * @throws SysError ENOMEM
   */
  seek(stream: number, fd: number, cookieLo: number, cookieHi: number): number {
    let index = this.#indexOf(stream);
    if (index >= 0) {
      const buffer = this.#buffers[index]!;
      if (buffer.cookieLo === cookieLo && buffer.cookieHi === cookieHi) {
        return index;
      }
    }
    if (this.#moved.has(stream) || cookieLo !== 0 || cookieHi !== 0) {
      const failed = this.moveTo(fd, cookieLo, cookieHi);
      if (failed < 0) {
        return failed;
      }
    }
    if (index < 0) {
      index = this.#obtain();
    }
    this.#buffers[index]!.reset(stream, cookieLo, cookieHi);
    this.#moved.add(stream);
    return index;
  }

  /** Brings a descriptor to a cookie. @returns 0 or a negative errno */
  moveTo(fd: number, cookieLo: number, cookieHi: number): number {
    // Some file systems use all 63 bits of an offset.
    const offset =
      cookieHi < UNSAFE_HI ? fromParts(cookieLo, cookieHi) : BigInt.asIntN(64, toBigInt(cookieLo, cookieHi));
    const result = this.#file.lseek(fd, offset, SEEK_SET);
    return typeof result === 'number' && result < 0 ? result : 0;
  }

  /** The buffer that `seek` named. */
  buffer(index: number): DirBuffer {
    return this.#buffers[index]!;
  }

  /** A stream ends. */
  close(stream: number): void {
    this.#moved.delete(stream);
    const index = this.#indexOf(stream);
    if (index >= 0) {
      this.#buffers[index]!.reset(NOBODY, 0, 0);
    }
  }

  /** All streams end. */
  clear(): void {
    this.#moved.clear();
    for (const buffer of this.#buffers) {
      buffer.reset(NOBODY, 0, 0);
    }
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers) {
      buffer[Symbol.dispose]();
    }
    this.#buffers.length = 0;
  }

  #indexOf(owner: number): number {
    for (let index = 0; index < this.#buffers.length; index++) {
      if (this.#buffers[index]!.owner === owner) {
        return index;
      }
    }
    return -1;
  }

  /** A free buffer, a new one, or that of another stream, in turn. */
  #obtain(): number {
    const free = this.#indexOf(NOBODY);
    if (free >= 0) {
      return free;
    }
    if (this.#buffers.length < BUFFERS) {
      return this.#buffers.push(new DirBuffer(this.#mem)) - 1;
    }
    this.#next = (this.#next + 1) % BUFFERS;
    return this.#next;
  }
}
