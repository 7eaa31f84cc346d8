/** A message in memory of its own, for sessions without a transport. */

import { TWO_32 } from '@oriel/layout';
import { type Address, E2BIG, Mapping, type SysMem } from '@oriel/sys';
import type { FuseMessage } from '../message.ts';

/** Where the data of a WRITE begins: O_DIRECT wants it so. */
const DATA_ALIGN = 4096;

/** How a {@link MemoryMessage} is made. */
export interface MemoryMessageOptions {
  /** Most bytes of the readable part, and of the writable part; default 1 MiB + 128 KiB each. */
  readonly capacity?: number;
  /** Pieces that `readIovec` and `writeIovec` show are this long at most; default: one piece. */
  readonly pieceBytes?: number;
}

/** One message, loaded again and again. Its memory is native, so a Filesystem may use system calls on it. */
export class MemoryMessage implements FuseMessage, Disposable {
  readBytes = 0;
  writeBytes = 0;
  /** What `finish` was told, once `finished(written)` was called; -1 until then. */
  written = -1;
  /** Makes `write` fail from here on, as when guest memory went away. */
  broken = false;
  readonly #memory: Mapping;
  readonly #capacity: number;
  readonly #pieceBytes: number;
  /** From where on the request stands in the memory: what follows it is aligned. */
  #start = 0;
  #readable: Uint8Array;
  readonly #writable: Uint8Array;

  /** @throws SysError ENOMEM */
  constructor(mem: SysMem, options: MemoryMessageOptions = {}) {
    this.#capacity = options.capacity ?? 1152 * 1024;
    this.#pieceBytes = options.pieceBytes ?? this.#capacity;
    this.#memory = Mapping.anonymous(mem, this.#capacity * 2 + DATA_ALIGN);
    this.#readable = this.#memory.u8;
    this.#writable = this.#memory.u8.subarray(this.#capacity + DATA_ALIGN);
  }

  /**
   * Loads a request and offers room for the reply, which is filled with 0xee.
   * @param data - follows the request, for WRITE
   */
  load(request: Uint8Array, len: number, writeBytes: number, data?: Uint8Array): this {
    this.#start = DATA_ALIGN - (len % DATA_ALIGN);
    this.#readable = this.#memory.u8.subarray(this.#start, this.#start + this.#capacity);
    for (let index = 0; index < len; index++) {
      this.#readable[index] = request[index]!;
    }
    this.readBytes = len;
    if (data !== undefined) {
      this.#readable.set(data, len);
      this.readBytes += data.length;
    }
    this.writeBytes = writeBytes;
    this.#writable.fill(0xee, 0, Math.min(this.#capacity, writeBytes + 16));
    this.written = -1;
    this.broken = false;
    return this;
  }

  /** For the `finish` of a session. */
  finished(written: number): void {
    this.written = written;
  }

  /** The writable part: the reply is its first `written` bytes. */
  get reply(): Uint8Array {
    return this.#writable;
  }

  read(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    return copy(this.#readable, this.readBytes, offset, to, toOffset, len);
  }

  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number {
    const count = this.broken ? -14 : Math.min(len, Math.max(0, this.writeBytes - offset));
    for (let index = 0; index < count; index++) {
      this.#writable[offset + index] = from[fromOffset + index]!;
    }
    return count;
  }

  readIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number {
    return this.#iovec(
      this.#memory.addr + this.#start,
      offset,
      Math.min(len, this.readBytes - offset),
      iov,
      maxEntries,
    );
  }

  writeIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number {
    const addr = this.#memory.addr + this.#capacity + DATA_ALIGN;
    return this.#iovec(addr, offset, Math.min(len, this.writeBytes - offset), iov, maxEntries);
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }

  #iovec(base: Address, offset: number, len: number, iov: Uint32Array, maxEntries: number): number {
    let count = 0;
    for (let done = 0; done < len; ) {
      if (count === maxEntries) {
        return -E2BIG;
      }
      const addr = base + offset + done;
      const size = Math.min(len - done, this.#pieceBytes - ((offset + done) % this.#pieceBytes));
      iov[count * 4] = addr % TWO_32;
      iov[count * 4 + 1] = Math.floor(addr / TWO_32);
      iov[count * 4 + 2] = size;
      iov[count * 4 + 3] = 0;
      count++;
      done += size;
    }
    return count;
  }
}

function copy(from: Uint8Array, end: number, offset: number, to: Uint8Array, toOffset: number, len: number): number {
  const count = Math.min(len, Math.max(0, end - offset));
  for (let index = 0; index < count; index++) {
    to[toOffset + index] = from[offset + index]!;
  }
  return count;
}
