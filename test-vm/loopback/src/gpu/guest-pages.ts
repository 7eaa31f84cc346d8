/** Guest memory behind a resource: pages that need not lie together. */
import type { GuestPiece } from '@oriel/gpu-blob/testing';
import { LoopbackError } from '../errors.ts';
import type { GuestRam } from '../guest-ram.ts';

const PAGE = 4096;

/** Some pages of guest memory; give them back by `release`. */
export class GuestPages {
  /** Bytes. */
  readonly size: number;
  /** In the order of the resource's bytes. */
  readonly entries: readonly GuestPiece[];
  readonly #ram: GuestRam;

  /**
   * @param size - bytes; the last piece is cut to it
   * @param pieceSize - bytes of each piece, a multiple of 4096; default all in one. Pieces lie in falling order of address.
   * @throws LoopbackError ERR_LOOPBACK_RANGE when guest memory is short
   */
  constructor(ram: GuestRam, size: number, pieceSize = Math.ceil(size / PAGE) * PAGE) {
    this.#ram = ram;
    this.size = size;
    const entries: GuestPiece[] = [];
    this.entries = entries;
    try {
      for (let at = 0; at < size; at += pieceSize) {
        entries.push({ addr: ram.allocate(pieceSize, PAGE), length: pieceSize });
      }
    } catch (error) {
      this.#release(pieceSize);
      throw error;
    }
    // The allocator gives rising addresses: turned around, no two pieces are neighbours.
    entries.reverse();
    const last = entries.at(-1);
    if (last !== undefined)
      entries[entries.length - 1] = { addr: last.addr, length: size - (entries.length - 1) * pieceSize };
  }

  /** Copies bytes out. @throws LoopbackError ERR_LOOPBACK_RANGE outside of the pages */
  read(offset: number, len: number): Uint8Array {
    const bytes = new Uint8Array(len);
    this.#pieces(offset, len, (memory, at) => bytes.set(memory, at));
    return bytes;
  }

  /** Copies bytes in. @throws LoopbackError ERR_LOOPBACK_RANGE outside of the pages */
  write(offset: number, bytes: Uint8Array): void {
    this.#pieces(offset, bytes.length, (memory, at) => memory.set(bytes.subarray(at, at + memory.length)));
  }

  /** Gives the memory back, which the device must not use any more. */
  release(): void {
    for (const { addr, length } of this.entries) this.#ram.release(addr, Math.ceil(length / PAGE) * PAGE);
  }

  #release(pieceSize: number): void {
    for (const { addr } of this.entries) this.#ram.release(addr, pieceSize);
  }

  #pieces(offset: number, len: number, each: (memory: Uint8Array, at: number) => void): void {
    if (!(offset >= 0 && len >= 0 && offset + len <= this.size)) {
      throw new LoopbackError('ERR_LOOPBACK_RANGE', `${len} bytes at ${offset}: not in pages of ${this.size} bytes`);
    }
    let skip = offset;
    let done = 0;
    for (const { addr, length } of this.entries) {
      const part = Math.min(length - skip, len - done);
      if (part > 0) {
        each(this.#ram.at(addr + skip, part), done);
        done += part;
      }
      skip = Math.max(skip - length, 0);
    }
  }
}
