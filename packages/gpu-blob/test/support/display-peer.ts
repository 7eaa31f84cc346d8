/** The front-end's end of a display channel as bytes: for golden bytes, for reading slowly and for breaking rules. */
import { EAGAIN, ECONNRESET, type Fd, type Sys } from '@oriel/sys';

export interface DisplayMessage {
  readonly request: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  /** Must be closed by the test. */
  readonly fds: number[];
}

const HEADER = 12;

/** One end of a stream socket. */
export class DisplayPeer {
  readonly #sys: Sys;
  readonly #socket: Fd;
  readonly #settle: () => void;

  /** @param settle - lets the loop of the other end do what is at hand */
  constructor(sys: Sys, socket: Fd, settle: () => void) {
    this.#sys = sys;
    this.#socket = socket;
    this.#settle = settle;
  }

  sendHex(hex: string, fds: number[] = []): void {
    const bytes = new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    const list = fds.length === 0 ? null : Int32Array.from(fds);
    const result = this.#sys.socket.sendmsg(this.#socket.fd, bytes, bytes.length, list, fds.length);
    if (result !== bytes.length) {
      throw new Error(`sendmsg: ${result}`);
    }
  }

  /** An answer, well-formed by itself. */
  answer(request: number, payload: Uint8Array | number[] = []): void {
    const header = new Uint8Array(Uint32Array.of(request, 4, payload.length).buffer);
    this.sendHex(Buffer.concat([header, Uint8Array.from(payload)]).toString('hex'));
  }

  /** The next message, after the loop did its work; null when nothing is there, 'eof' at the end of the stream. */
  next(): DisplayMessage | 'eof' | null {
    this.#settle();
    const header = new Uint8Array(HEADER);
    const received = this.#sys.socket.makeRecvResult(4);
    const result = this.#sys.socket.recvmsg(this.#socket.fd, header, HEADER, received);
    if (result === -EAGAIN) {
      return null;
    }
    if (result === 0 || result === -ECONNRESET) {
      return 'eof';
    }
    const fds = Array.from(received.fds.subarray(0, received.fdCount));
    this.#fill(header, result);
    const view = new DataView(header.buffer);
    const payload = new Uint8Array(view.getUint32(8, true));
    this.#fill(payload, 0);
    this.#settle();
    return { request: view.getUint32(0, true), flags: view.getUint32(4, true), payload, fds };
  }

  /** One message. @throws Error when none is there */
  receive(): DisplayMessage {
    const message = this.next();
    if (message === null || message === 'eof') {
      throw new Error(`wanted a message, got ${message === null ? 'nothing' : 'the end of the stream'}`);
    }
    return message;
  }

  /** One message with its header, 'null' or 'eof'; descriptors are closed. */
  receiveHex(): string {
    const message = this.next();
    if (message === null || message === 'eof') {
      return String(message);
    }
    for (const fd of message.fds) {
      this.#sys.fd.close(fd);
    }
    const header = new Uint8Array(Uint32Array.of(message.request, message.flags, message.payload.length).buffer);
    return Buffer.concat([header, message.payload]).toString('hex');
  }

  /** At most `len` bytes of whatever is there. */
  receiveBytes(len: number): Uint8Array {
    const bytes = new Uint8Array(len);
    const received = this.#sys.socket.makeRecvResult(0);
    const result = this.#sys.socket.recvmsg(this.#socket.fd, bytes, len, received);
    return bytes.subarray(0, Math.max(result, 0));
  }

  close(): void {
    this.#socket.close();
  }

  #fill(bytes: Uint8Array, have: number): void {
    const received = this.#sys.socket.makeRecvResult(4);
    for (let idle = 0, at = have; at < bytes.length; ) {
      const room = bytes.subarray(at);
      const result = this.#sys.socket.recvmsg(this.#socket.fd, room, room.length, received);
      if (received.fdCount > 0) {
        throw new Error('descriptors came after the first byte of their message');
      }
      idle = result > 0 ? 0 : idle + 1;
      if (idle > 1) {
        throw new Error(`the message ends after ${at} of ${bytes.length} bytes`);
      }
      at += Math.max(result, 0);
      this.#settle();
    }
  }
}
