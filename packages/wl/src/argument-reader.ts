/** The arguments of one message, found by its shape and checked against its end. */
import { WlError } from './errors.ts';
import type { Message } from './interfaces.ts';
import { WlHeader } from './layout.ts';

const decoder = new TextDecoder();

/** Reads arguments; one object serves message after message. Descriptors take no bytes: theirs is no value. */
export class ArgumentReader {
  #view: DataView = new DataView(new ArrayBuffer(0));
  #message: Message | undefined;
  readonly #offsets: number[] = [];

  /**
   * Finds the arguments of a message.
   * @param start - of its header in `view`
   * @param size - of all of it, bytes; within `view`
   * @throws WlError ERR_WL_ARGUMENT
   */
  read(message: Message, view: DataView, start: number, size: number): this {
    this.#view = view;
    this.#message = message;
    const end = start + size;
    let at = start + WlHeader.byteLength;
    for (let index = 0; index < message.args.length; index++) {
      const { kind } = message.args[index]!;
      this.#offsets[index] = at;
      if (kind === 'h') continue;
      if (at + 4 > end) throw this.#beyond(index);
      if (kind === 's' || kind === 'a') {
        const len = view.getUint32(at, true);
        if (len > end - at - 4) throw this.#beyond(index);
        if (kind === 's' && len > 0 && view.getUint8(at + 3 + len) !== 0) {
          throw new WlError('ERR_WL_ARGUMENT', `${message.name}: argument ${index} does not end in NUL`);
        }
        at += 4 + ((len + 3) & ~3);
        if (at > end) throw this.#beyond(index);
      } else {
        at += 4;
      }
    }
    return this;
  }

  /** An uint, object or new id. */
  uint(index: number): number {
    return this.#view.getUint32(this.#offsets[index]!, true);
  }

  int(index: number): number {
    return this.#view.getInt32(this.#offsets[index]!, true);
  }

  /** A string; a null one is ''. */
  text(index: number): string {
    const at = this.#offsets[index]!;
    const len = this.#view.getUint32(at, true);
    return len === 0 ? '' : decoder.decode(new Uint8Array(this.#view.buffer, this.#view.byteOffset + at + 4, len - 1));
  }

  /** Where an argument begins in the view. */
  offset(index: number): number {
    return this.#offsets[index]!;
  }

  #beyond(index: number): WlError {
    return new WlError('ERR_WL_ARGUMENT', `${this.#message?.name}: argument ${index} lies beyond the message`);
  }
}
