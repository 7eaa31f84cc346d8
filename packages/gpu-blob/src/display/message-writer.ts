/** One message at a time on its way into a non-blocking socket. */
import { EAGAIN, EFAULT, EINTR, type Fd, type Sys } from '@oriel/sys';

const SMALL_BYTES = 32 * 1024;

/**
 * Holds a message until the socket has taken all of it. The message is composed in the writer's own buffer; pixels may
 * follow from a view that is not copied. A view that vanishes meanwhile is continued with zeros: what the header promised
 * must come.
 */
export class MessageWriter implements Disposable {
  readonly #sys: Pick<Sys, 'socket'>;
  readonly #socket: number;
  #bytes = new Uint8Array(SMALL_BYTES);
  #view = new DataView(this.#bytes.buffer);
  #sent = 0;
  #len = 0;
  #body: Uint8Array | null = null;
  #bodySent = 0;
  #bodyEnd = 0;
  /** Goes with the first byte. */
  #fd: Fd | null = null;
  readonly #fdList = new Int32Array(1);
  #bodyLost = false;

  /** @param socket - lent; its owner outlives the writer */
  constructor(sys: Pick<Sys, 'socket'>, socket: number) {
    this.#sys = sys;
    this.#socket = socket;
  }

  /** The socket has not taken everything yet. */
  get busy(): boolean {
    return this.#sent < this.#len || this.#bodySent < this.#bodyEnd;
  }

  /** @returns true, once, when bytes of a view had to be replaced by zeros */
  takeBodyLost(): boolean {
    const lost = this.#bodyLost;
    this.#bodyLost = false;
    return lost;
  }

  /** The buffer to compose in; valid until the next `reserve`. Only while not busy. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The same memory as `bytes`. */
  get view(): DataView {
    return this.#view;
  }

  /** Makes room for a message of `len` bytes in the buffer. */
  reserve(len: number): void {
    if (len > this.#bytes.length) {
      this.#bytes = new Uint8Array(Math.max(len, 2 * this.#bytes.length));
      this.#view = new DataView(this.#bytes.buffer);
    }
  }

  /**
   * Takes the first `len` bytes of the buffer as the next message.
   * @param fd - goes with it, given away
   */
  start(len: number, fd: Fd | null = null): void {
    this.#sent = 0;
    this.#len = len;
    this.#fd = fd;
    this.#body = null;
    this.#bodySent = 0;
    this.#bodyEnd = 0;
    this.#bodyLost = false;
  }

  /** The same with bytes [from, from + bodyLen) of `body` behind it, lent until the writer is not busy any more. */
  startWithBody(len: number, body: Uint8Array, from: number, bodyLen: number): void {
    this.start(len);
    this.#body = body;
    this.#bodySent = from;
    this.#bodyEnd = from + bodyLen;
  }

  /** Copies what is still to come from the view, so that it is not lent any more. */
  keepBody(): void {
    if (this.#bodySent >= this.#bodyEnd) {
      this.#body = null;
      return;
    }
    const left = new Uint8Array(this.#bodyEnd - this.#bodySent);
    if (!this.takeBodyLost()) {
      left.set(this.#body!.subarray(this.#bodySent, this.#bodyEnd));
    }
    this.#body = left;
    this.#bodySent = 0;
    this.#bodyEnd = left.length;
  }

  /**
   * Sends what goes.
   * @param most - bytes to send at most, or little more
   * @returns bytes sent, fewer than there are when the socket is full; a negative errno when it is broken
   */
  flush(most: number): number {
    let total = 0;
    while (this.busy && total < most) {
      const result = this.#sent < this.#len ? this.#sendHead() : this.#sendBody();
      if (result === -EAGAIN) {
        break;
      }
      if (result < 0) {
        return result;
      }
      total += result;
    }
    return total;
  }

  /** Forgets the message and closes its descriptor. */
  [Symbol.dispose](): void {
    this.#fd?.close();
    this.start(0);
  }

  #sendHead(): number {
    const fd = this.#fd;
    const from = this.#sent === 0 ? this.#bytes : this.#bytes.subarray(this.#sent);
    if (fd !== null) {
      this.#fdList[0] = fd.fd;
    }
    const result = this.#send(from, this.#len - this.#sent, fd === null ? null : this.#fdList);
    if (result > 0) {
      this.#sent += result;
      this.#fd = null;
      fd?.close();
    }
    return result;
  }

  #sendBody(): number {
    const body = this.#body!;
    const left = this.#bodyEnd - this.#bodySent;
    // A view whose mapping was disposed has no length any more.
    if (this.#bodyLost || body.length < this.#bodyEnd) {
      return this.#sendZeros(left);
    }
    const result = this.#send(this.#bodySent === 0 ? body : body.subarray(this.#bodySent), left, null);
    if (result === -EFAULT) {
      return this.#sendZeros(left);
    }
    this.#bodySent += Math.max(result, 0);
    return result;
  }

  #sendZeros(left: number): number {
    if (!this.#bodyLost) {
      this.#bodyLost = true;
      this.#bytes.fill(0);
    }
    const result = this.#send(this.#bytes, Math.min(left, this.#bytes.length), null);
    this.#bodySent += Math.max(result, 0);
    return result;
  }

  #send(from: Uint8Array, len: number, fds: Int32Array | null): number {
    for (;;) {
      const result = this.#sys.socket.sendmsg(this.#socket, from, len, fds, fds === null ? 0 : 1);
      if (result !== -EINTR) {
        return result;
      }
    }
  }
}
