/** Lines out of a stream, of a bounded length. */

const LINE_FEED = 0x0a;

/** Puts chunks together until a line is whole. */
export class LineSplitter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @returns the lines that are whole now, without their ends @throws RangeError when one is too long */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(LINE_FEED); at !== -1; at = chunk.indexOf(LINE_FEED, from)) {
      this.#add(chunk.subarray(from, at));
      lines.push(this.rest());
      from = at + 1;
    }
    this.#add(chunk.subarray(from));
    return lines;
  }

  /** Takes what came without an end. */
  rest(): string {
    const line = Buffer.concat(this.#parts).toString('utf8');
    this.#parts = [];
    this.#bytes = 0;
    return line;
  }

  #add(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) {
      throw new RangeError(`a line is longer than ${this.#maxBytes} bytes`);
    }
    if (part.length > 0) {
      this.#parts.push(part);
    }
  }
}
