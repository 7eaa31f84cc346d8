/** The other end of a channel as bytes: for golden bytes and for breaking rules. */
import { EAGAIN, ECONNRESET, type Fd, type Sys } from '@oriel/sys';

export interface RawMessage {
  readonly id: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  readonly fds: number[];
}

export const NEED_REPLY = 0x9;

/** One end of a stream socket. Received descriptors must be closed by the test (`closeAll` does). */
export class RawPeer {
  readonly #sys: Sys;
  readonly #socket: Fd;
  readonly #settle: () => void;

  constructor(sys: Sys, socket: Fd, settle: () => void) {
    this.#sys = sys;
    this.#socket = socket;
    this.#settle = settle;
  }

  /** Header and payload in one sendmsg. */
  send(
    id: number,
    flags: number,
    payload: Uint8Array | number[] = [],
    fds: number[] = [],
    size = payload.length,
  ): void {
    const bytes = new Uint8Array(12 + payload.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, id, true);
    view.setUint32(4, flags, true);
    view.setUint32(8, size, true);
    bytes.set(payload, 12);
    this.sendBytes(bytes, fds);
  }

  sendBytes(bytes: Uint8Array, fds: number[] = []): void {
    const result = this.#sys.socket.sendmsg(
      this.#socket.fd,
      bytes,
      bytes.length,
      fds.length === 0 ? null : Int32Array.from(fds),
      fds.length,
    );
    if (result !== bytes.length) {
      throw new Error(`sendmsg: ${result}`);
    }
  }

  sendHex(hex: string, fds: number[] = []): void {
    this.sendBytes(new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex')), fds);
  }

  /** The next message, after the loop did its work; null when nothing is there, 'eof' at the end of the stream. */
  next(): RawMessage | 'eof' | null {
    this.#settle();
    const header = new Uint8Array(12);
    const received = this.#sys.socket.makeRecvResult(16);
    const result = this.#sys.socket.recvmsg(this.#socket.fd, header, header.length, received);
    if (result === -EAGAIN) {
      return null;
    }
    if (result === 0 || result === -ECONNRESET) {
      return 'eof';
    }
    if (result !== 12) {
      throw new Error(`header: ${result}`);
    }
    const view = new DataView(header.buffer);
    const payload = new Uint8Array(view.getUint32(8, true));
    const fds = Array.from(received.fds.subarray(0, received.fdCount));
    const rest = this.#sys.socket.makeRecvResult(16);
    if (payload.length > 0) {
      const got = this.#sys.socket.recvmsg(this.#socket.fd, payload, payload.length, rest);
      if (got !== payload.length || rest.fdCount > 0) {
        throw new Error(`payload: ${got} of ${payload.length}, ${rest.fdCount} descriptors`);
      }
    }
    return { id: view.getUint32(0, true), flags: view.getUint32(4, true), payload, fds };
  }

  /** One message. @throws Error when none is there */
  receive(): RawMessage {
    const message = this.next();
    if (message === null || message === 'eof') {
      throw new Error(`wanted a message, got ${message === null ? 'nothing' : 'the end of the stream'}`);
    }
    return message;
  }

  /** One message with its header, 'null' or 'eof'. */
  receiveHex(): string {
    const message = this.next();
    if (message === null || message === 'eof') {
      return String(message);
    }
    const header = new Uint8Array(Uint32Array.of(message.id, message.flags, message.payload.length).buffer);
    return Buffer.concat([header, message.payload]).toString('hex');
  }

  /** Sends and gives the u64 of the answer. */
  ask(id: number, payload: Uint8Array | number[] = [], fds: number[] = []): number {
    this.send(id, NEED_REPLY, payload, fds);
    const reply = this.receive();
    if (reply.id !== id || reply.flags !== 5 || reply.payload.length !== 8) {
      throw new Error(`bad reply ${JSON.stringify(reply)}`);
    }
    return Number(new DataView(reply.payload.buffer, reply.payload.byteOffset).getBigUint64(0, true));
  }

  close(): void {
    this.#socket.close();
  }
}
