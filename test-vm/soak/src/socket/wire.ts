/** One end of a vhost-user socket as bytes, with everything a peer can do wrong. */
import { EAGAIN, ECONNRESET, type Fd, type Sys } from '@oriel/sys';

/** A message as it is put on the wire. */
export interface WireMessage {
  readonly id: number;
  readonly flags: number;
  /** What the header says; default: the payload's length. */
  readonly size?: number;
  readonly payload: Uint8Array;
  /** Lent for the call. */
  readonly fds: readonly number[];
}

/** A message that came. Its descriptors are closed already. */
export interface ReceivedMessage {
  readonly id: number;
  readonly flags: number;
  readonly payload: Uint8Array;
  readonly fdCount: number;
}

export const HEADER_BYTES = 12;
const MOST_FDS = 16;

export function u32s(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** Little-endian u64 of safe integers. */
export function u64s(...values: number[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);
}

/** Header and payload. */
export function encode({ id, flags, payload, size = payload.length }: WireMessage): Uint8Array {
  return new Uint8Array([...u32s(id, flags, size), ...payload]);
}

/** Sends and receives; owns nothing. */
export class Wire {
  readonly #sys: Pick<Sys, 'socket' | 'fd'>;
  readonly #socket: Fd;
  /** The other end closed, or the stream is out of step. */
  over = false;

  constructor(sys: Pick<Sys, 'socket' | 'fd'>, socket: Fd) {
    this.#sys = sys;
    this.#socket = socket;
  }

  /** Sends bytes with descriptors on the first. @returns false when the socket is full; a closed one makes it `over` */
  send(bytes: Uint8Array, fds: readonly number[]): boolean {
    if (this.over) return true;
    for (let at = 0; at < bytes.length; ) {
      const first = at === 0 && fds.length > 0;
      const part = bytes.subarray(at);
      const sent = this.#sys.socket.sendmsg(
        this.#socket.fd,
        part,
        part.length,
        first ? Int32Array.from(fds) : null,
        first ? fds.length : 0,
      );
      if (sent === -EAGAIN && at === 0) return false;
      if (sent < 0) {
        this.over = true;
        return true;
      }
      at += sent;
    }
    return true;
  }

  /** The next message; null when none is there, or the other end closed. */
  receive(): ReceivedMessage | null {
    const header = new Uint8Array(HEADER_BYTES);
    const fdCount = this.#read(header);
    if (fdCount < 0) return null;
    const [id, flags, size] = new Uint32Array(header.buffer) as unknown as [number, number, number];
    const payload = new Uint8Array(size);
    if (size > 0 && this.#read(payload) < 0) return null;
    return { id, flags, payload, fdCount };
  }

  /** Fills `to`. @returns how many descriptors came, or -1 when nothing did */
  #read(to: Uint8Array): number {
    if (this.over) return -1;
    const result = this.#sys.socket.makeRecvResult(MOST_FDS);
    const got = this.#sys.socket.recvmsg(this.#socket.fd, to, to.length, result);
    for (let index = 0; index < result.fdCount; index++) this.#sys.fd.close(result.fds[index]!);
    if (got === -EAGAIN) return -1;
    if (got !== to.length) {
      this.over = true;
      if (got > 0 || (got < 0 && got !== -ECONNRESET)) throw new Error(`recvmsg: ${got} of ${to.length} bytes`);
      return -1;
    }
    return result.fdCount;
  }
}
