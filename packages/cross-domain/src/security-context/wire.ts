/** The Wayland wire format (wayland.freedesktop.org, chapter 4): 32-bit words in the host's order. */

/** Object id, then size in the high half and opcode in the low one. */
export const HEADER_BYTES = 8;
const TWO_16 = 0x10000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One argument: a number (uint, object, new_id) or text. */
export type WireArgument = number | string;

/** A request as bytes. Descriptors travel beside it. */
export function encodeMessage(object: number, opcode: number, ...args: readonly WireArgument[]): Uint8Array {
  const texts = args.map((arg) => (typeof arg === 'string' ? encoder.encode(`${arg}\0`) : null));
  const size = texts.reduce((sum, text) => sum + 4 + padded(text?.length ?? 0), HEADER_BYTES);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, object, true);
  view.setUint32(4, size * TWO_16 + opcode, true);
  let at = HEADER_BYTES;
  for (const [index, arg] of args.entries()) {
    const text = texts[index]!;
    view.setUint32(at, text === null ? (arg as number) : text.length, true);
    if (text !== null) bytes.set(text, at + 4);
    at += 4 + padded(text?.length ?? 0);
  }
  return bytes;
}

/** An event, to be read from its start. */
export class WireEvent {
  readonly object: number;
  readonly opcode: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(object: number, opcode: number, body: Uint8Array) {
    this.object = object;
    this.opcode = opcode;
    this.#bytes = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  /** The next number. @returns 0 beyond the end */
  number(): number {
    const at = this.#at;
    this.#at += 4;
    return at + 4 <= this.#bytes.length ? this.#view.getUint32(at, true) : 0;
  }

  /** The next text. @returns '' beyond the end */
  text(): string {
    const length = this.number();
    const at = this.#at;
    if (length === 0 || length > this.#bytes.length - at) return '';
    this.#at += padded(length);
    return decoder.decode(this.#bytes.subarray(at, at + length - 1));
  }
}

/** Cuts a stream into events. */
export class WireReader {
  #waiting = new Uint8Array(0);

  /** @param bytes - copied @returns the events that are complete; null when the stream is no Wayland */
  push(bytes: Uint8Array): WireEvent[] | null {
    const all = new Uint8Array(this.#waiting.length + bytes.length);
    all.set(this.#waiting);
    all.set(bytes, this.#waiting.length);
    const view = new DataView(all.buffer);
    const events: WireEvent[] = [];
    let at = 0;
    while (all.length - at >= HEADER_BYTES) {
      const word = view.getUint32(at + 4, true);
      const size = word >>> 16;
      if (size < HEADER_BYTES || size % 4 !== 0) return null;
      if (size > all.length - at) break;
      events.push(new WireEvent(view.getUint32(at, true), word & 0xffff, all.subarray(at + HEADER_BYTES, at + size)));
      at += size;
    }
    this.#waiting = all.slice(at);
    return events;
  }
}

function padded(length: number): number {
  return (length + 3) & ~3;
}
