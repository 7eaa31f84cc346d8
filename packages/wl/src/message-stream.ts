/** A stream of bytes cut into messages. */
import { WlError } from './errors.ts';
import { MAX_MESSAGE_LEN, WlHeader } from './layout.ts';

const HEADER_LEN = WlHeader.byteLength;
const START_LEN = 8192;
const FULL_LEN = 2 * (MAX_MESSAGE_LEN + 4);

/**
 * Holds what came until it is whole messages. Fill it through `room` and `filled`, then take messages by `next`; the fields
 * describe the message at hand until the next call of any of these.
 */
export class MessageStream {
  objectId = 0;
  opcode = 0;
  /** Bytes of the message at hand, its header too. */
  size = 0;
  /** Where it begins in `view`. */
  start = 0;
  view = new DataView(new ArrayBuffer(START_LEN));
  #bytes = new Uint8Array(this.view.buffer);
  #next = 0;
  #end = 0;

  /** Bytes that are not taken yet. */
  get pending(): number {
    return this.#end - this.#next;
  }

  /** Memory for what comes next. @param least - bytes that must fit, at most 64 KiB */
  room(least: number): Uint8Array {
    if (this.#end + least > this.#bytes.length) this.#makeRoom(least);
    return this.#bytes.subarray(this.#end);
  }

  /** So many bytes of the room were filled. */
  filled(count: number): void {
    this.#end += count;
  }

  /**
   * Goes to the next whole message.
   * @returns false where there is none yet
   * @throws WlError ERR_WL_SIZE
   */
  next(): boolean {
    const left = this.#end - this.#next;
    if (left < HEADER_LEN) return false;
    const { view } = this;
    const start = this.#next;
    const size = WlHeader.size.get(view, start);
    if (size < HEADER_LEN || size % 4 !== 0) throw new WlError('ERR_WL_SIZE', `a message of ${size} bytes`);
    if (left < size) return false;
    this.objectId = WlHeader.objectId.get(view, start);
    this.opcode = WlHeader.opcode.get(view, start);
    this.size = size;
    this.start = start;
    this.#next = start + size;
    return true;
  }

  /** The bytes of the message at hand; lent. */
  get message(): Uint8Array {
    return this.#bytes.subarray(this.start, this.start + this.size);
  }

  #makeRoom(least: number): void {
    const left = this.#end - this.#next;
    if (left + least > this.#bytes.length) {
      const grown = new Uint8Array(FULL_LEN);
      grown.set(this.#bytes.subarray(this.#next, this.#end));
      this.#bytes = grown;
      this.view = new DataView(grown.buffer);
    } else {
      this.#bytes.copyWithin(0, this.#next, this.#end);
    }
    this.#next = 0;
    this.#end = left;
  }
}
