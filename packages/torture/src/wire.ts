/** The main channel as bytes: what is sent need not be a message, and what comes back is only looked at. */
import { EAGAIN, EINTR, EPOLLIN, EPOLLOUT, Fd, type RecvResult, SHUT_WR, type Sys } from '@oriel/sys';
import { VhostUserHeader } from '@oriel/vhost-user';
import type { Waiter } from './waiter.ts';

const HEADER = VhostUserHeader.byteLength;
/** More than any reply has. */
const RECEIVE_FDS = 16;
const MAX_REPLY = 1 << 16;

/** What the peer did: a message, the end of the stream (or bytes that are no message), or nothing in time. */
export type Answer =
  | {
      readonly kind: 'message';
      readonly id: number;
      readonly flags: number;
      readonly payload: Uint8Array;
      /** Owned by the receiver. */
      readonly fds: readonly Fd[];
    }
  | { readonly kind: 'closed' }
  | { readonly kind: 'silent' };

/** The header and the payload as they go out. @param size - what the header says; default the payload's own */
export function frame(id: number, flags: number, payload: Uint8Array, size = payload.length): Uint8Array {
  const bytes = new Uint8Array(HEADER + payload.length);
  const view = new DataView(bytes.buffer);
  VhostUserHeader.request.set(view, 0, id);
  VhostUserHeader.flags.set(view, 0, flags);
  VhostUserHeader.size.set(view, 0, size);
  bytes.set(payload, HEADER);
  return bytes;
}

/** A connected stream socket, used synchronously. */
export class Wire implements Disposable {
  readonly #sys: Pick<Sys, 'fd' | 'socket'>;
  readonly #waiter: Waiter;
  readonly #socket: Fd;
  readonly #timeoutMs: number;
  readonly #received: RecvResult;

  /** @param socket - connected, given away */
  constructor(sys: Pick<Sys, 'fd' | 'socket'>, waiter: Waiter, socket: Fd, timeoutMs: number) {
    this.#sys = sys;
    this.#waiter = waiter;
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#received = sys.socket.makeRecvResult(RECEIVE_FDS);
  }

  /** The socket, lent. */
  get fd(): number {
    return this.#socket.fd;
  }

  /**
   * Sends all bytes, the descriptors (lent) with the first of them; waits where the peer does not read.
   * @returns 'closed' when the peer is gone, 'stuck' when it does not read in time
   */
  send(bytes: Uint8Array, fds: readonly number[] = [], patienceMs = this.#timeoutMs): 'sent' | 'closed' | 'stuck' {
    let passed = Int32Array.from(fds);
    for (let at = 0; at < bytes.length; ) {
      const rest = bytes.subarray(at);
      const result = this.#sys.socket.sendmsg(this.#socket.fd, rest, rest.length, passed, passed.length);
      if (result > 0) {
        at += result;
        passed = new Int32Array(0);
      } else if (result === -EAGAIN) {
        if (!this.#waiter.wait([this.#socket.fd], EPOLLOUT, patienceMs)) return 'stuck';
      } else if (result !== -EINTR) {
        return 'closed';
      }
    }
    return 'sent';
  }

  /** Says that nothing more comes, and can still read. */
  finishSending(): void {
    this.#sys.socket.shutdown(this.#socket.fd, SHUT_WR);
  }

  /** The next message from the peer. */
  receive(timeoutMs = this.#timeoutMs): Answer {
    const fds: Fd[] = [];
    const answer = this.#readMessage(timeoutMs, fds);
    if (answer.kind !== 'message') for (const fd of fds) fd.close();
    return answer;
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }

  #readMessage(timeoutMs: number, fds: Fd[]): Answer {
    const header = this.#read(HEADER, timeoutMs, fds);
    if (typeof header === 'string') return { kind: header };
    const view = new DataView(header.buffer);
    const size = VhostUserHeader.size.get(view, 0);
    const payload = size > MAX_REPLY ? 'closed' : this.#read(size, timeoutMs, fds);
    if (typeof payload === 'string') return { kind: payload };
    const id = VhostUserHeader.request.get(view, 0);
    return { kind: 'message', id, flags: VhostUserHeader.flags.get(view, 0), payload, fds };
  }

  #read(size: number, timeoutMs: number, fds: Fd[]): Uint8Array | 'closed' | 'silent' {
    const bytes = new Uint8Array(size);
    for (let have = 0; have < size; ) {
      const room = bytes.subarray(have);
      const result = this.#sys.socket.recvmsg(this.#socket.fd, room, room.length, this.#received);
      for (let i = 0; i < this.#received.fdCount; i++) fds.push(new Fd(this.#sys.fd, this.#received.fds[i]!));
      if (result > 0) {
        have += result;
      } else if (result === -EAGAIN) {
        if (!this.#waiter.wait([this.#socket.fd], EPOLLIN, timeoutMs)) return 'silent';
      } else if (result !== -EINTR) {
        return 'closed';
      }
    }
    return bytes;
  }
}
