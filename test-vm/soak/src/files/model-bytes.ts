/** The contents of a file in the model. */

const FIRST = 65536;

/** Bytes that grow and shrink as a file does. */
export class ModelBytes {
  size = 0;
  /** Counts changes. */
  version = 0;
  #room = new Uint8Array(FIRST);

  /** A view of [offset, offset + len), which must lie in the file; good until the next change. */
  at(offset: number, len: number): Uint8Array {
    if (offset + len > this.size) throw new RangeError(`${offset}+${len} in a file of ${this.size} bytes`);
    return this.#room.subarray(offset, offset + len);
  }

  /** Everything. */
  get all(): Uint8Array {
    return this.#room.subarray(0, this.size);
  }

  /** Stores bytes; a gap before them is zeros. */
  write(offset: number, from: Uint8Array): void {
    if (from.length === 0) return;
    if (offset + from.length > this.size) this.truncate(offset + from.length);
    this.#room.set(from, offset);
    this.version++;
  }

  /** Zeros in [offset, offset + len), as far as the file goes. */
  clear(offset: number, len: number): void {
    this.#room.fill(0, Math.min(offset, this.size), Math.min(offset + len, this.size));
    this.version++;
  }

  truncate(size: number): void {
    if (size > this.#room.length) {
      const room = new Uint8Array(2 ** Math.ceil(Math.log2(size)));
      room.set(this.#room.subarray(0, this.size));
      this.#room = room;
    } else if (size < this.size) {
      this.#room.fill(0, size, this.size);
    }
    this.size = size;
    this.version++;
  }
}
