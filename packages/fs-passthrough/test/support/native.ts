/** Requests' memory for tests: names and data at addresses, as a session would have them. */
import type { IoVector, Name } from '@oriel/fuse';
import { type Address, escapeBytes, Mapping, openSys } from '@oriel/sys';

const ARENA_LEN = 4 << 20;

/** Memory from which tests take pieces; nothing is given back before the end. */
export class Arena implements Disposable {
  readonly #mapping = Mapping.anonymous(openSys().mem, ARENA_LEN);
  #used = 0;

  /** @returns where the piece starts in `bytes`; aligned to 16 */
  take(len: number): number {
    const at = this.#used;
    this.#used = (at + len + 15) & ~15;
    if (this.#used > ARENA_LEN) {
      throw new RangeError('the test arena is used up');
    }
    return at;
  }

  get bytes(): Uint8Array {
    return this.#mapping.u8;
  }

  addr(at: number): Address {
    return this.#mapping.addr + at;
  }

  /** Starts over: every piece is void. */
  reset(): void {
    this.#used = 0;
  }

  /** A name or a path. */
  name(text: string | Uint8Array): Name {
    const raw = typeof text === 'string' ? Buffer.from(text) : text;
    const at = this.take(raw.length + 1);
    this.bytes.set(raw, at);
    this.bytes[at + raw.length] = 0;
    return {
      addr: this.addr(at),
      len: raw.length,
      key: () => Buffer.from(raw).toString('latin1'),
      toString: () => escapeBytes(raw),
    };
  }

  /** An iovec over pieces of the given sizes; the data are read and written behind each other. */
  io(...lens: number[]): IoVector & { readonly data: Uint8Array } {
    const len = lens.reduce((sum, one) => sum + one, 0);
    const dataAt = this.take(len);
    const vectorAt = this.take(16 * lens.length);
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    let at = dataAt;
    lens.forEach((one, index) => {
      view.setBigUint64(vectorAt + 16 * index, BigInt(this.addr(at)), true);
      view.setBigUint64(vectorAt + 16 * index + 8, BigInt(one), true);
      at += one;
    });
    const data = this.bytes.subarray(dataAt, dataAt + len);
    return {
      addr: this.addr(vectorAt),
      count: lens.length,
      len,
      data,
      read(offset, to, toOffset, count) {
        to.set(data.subarray(offset, offset + count), toOffset);
        return count;
      },
      write(offset, from, fromOffset, count) {
        data.set(from.subarray(fromOffset, fromOffset + count), offset);
        return count;
      },
    };
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }
}
