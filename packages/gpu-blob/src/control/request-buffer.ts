/** Private memory into which a request is copied before anything in it is looked at. */
import type { Chain } from '@oriel/virtqueue';
import { CtrlHdr } from '../protocol/layout.ts';

/** Longest request, bytes: commands of a SUBMIT_3D, or the entries of a backing store. */
export const MAX_REQUEST_BYTES = 8 * 1024 * 1024;
const FIRST_BYTES = 4096;
/** Buffers above this are given back after use. */
const KEPT_BYTES = 512 * 1024;

/** One buffer for one request at a time. */
export class RequestBuffer {
  bytes = new Uint8Array(FIRST_BYTES);
  view = new DataView(this.bytes.buffer);

  /**
   * Copies the readable part of a chain; of one that is too long its header, since that says how to answer.
   * @returns bytes copied, or -EFAULT when the memory is gone
   */
  load(chain: Chain): number {
    const readBytes = chain.readBytes > MAX_REQUEST_BYTES ? CtrlHdr.byteLength : chain.readBytes;
    if (readBytes > this.bytes.length) this.#grow(readBytes);
    return chain.read(0, this.bytes, 0, readBytes);
  }

  /** Puts a request there that comes out of no chain. */
  fill(...parts: readonly Uint8Array[]): number {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length > this.bytes.length) this.#grow(length);
    let at = 0;
    for (const part of parts) {
      this.bytes.set(part, at);
      at += part.length;
    }
    return length;
  }

  /** Lets go of a large buffer. */
  trim(): void {
    if (this.bytes.length > KEPT_BYTES) this.#grow(FIRST_BYTES);
  }

  #grow(bytes: number): void {
    this.bytes = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)));
    this.view = new DataView(this.bytes.buffer);
  }
}
