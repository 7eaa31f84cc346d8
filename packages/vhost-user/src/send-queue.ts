/** What a full socket did not take: kept in order, with duplicates of the descriptors that still have to go. */
import { EAGAIN, EINTR, Fd, type Sys } from '@oriel/sys';

interface Unsent {
  readonly bytes: Uint8Array;
  sent: number;
  /** Ours until the first byte has gone. */
  fds: Fd[];
}

/** Sends messages on a non-blocking socket, in order. */
export class SendQueue {
  readonly #sys: Pick<Sys, 'fd' | 'socket'>;
  readonly #socket: number;
  #unsent: Unsent[] = [];

  /** @param socket - lent; its owner outlives the queue */
  constructor(sys: Pick<Sys, 'fd' | 'socket'>, socket: number) {
    this.#sys = sys;
    this.#socket = socket;
  }

  get isEmpty(): boolean {
    return this.#unsent.length === 0;
  }

  /**
   * Sends `len` bytes of `from`, or as much as goes and keeps a copy of the rest.
   * @param fds - lent for the call
   * @returns 0, or a negative errno when the socket is broken or descriptors cannot be kept (EMFILE)
   */
  send(from: Uint8Array, len: number, fds: readonly number[]): number {
    let sent = 0;
    if (this.isEmpty) {
      sent = this.#sendmsg(from, len, fds);
      if (sent < 0 && sent !== -EAGAIN) {
        return sent;
      }
      sent = Math.max(sent, 0);
    }
    if (sent === len) {
      return 0;
    }
    const kept: Fd[] = [];
    if (sent === 0) {
      for (const fd of fds) {
        const copy = this.#sys.fd.dup(fd);
        if (copy < 0) {
          closeAll(kept);
          return copy;
        }
        kept.push(new Fd(this.#sys.fd, copy));
      }
    }
    this.#unsent.push({ bytes: from.slice(0, len), sent, fds: kept });
    return 0;
  }

  /** Sends as much as goes. @returns 0, or a negative errno when the socket is broken */
  flush(): number {
    for (let head = this.#unsent[0]; head !== undefined; head = this.#unsent[0]) {
      const rest = head.bytes.subarray(head.sent);
      const result = this.#sendmsg(
        rest,
        rest.length,
        head.fds.map((fd) => fd.fd),
      );
      if (result === -EAGAIN) {
        return 0;
      }
      if (result < 0) {
        return result;
      }
      closeAll(head.fds);
      head.fds = [];
      head.sent += result;
      if (head.sent === head.bytes.length) {
        this.#unsent.shift();
      }
    }
    return 0;
  }

  /** Forgets everything unsent and closes its descriptors. */
  clear(): void {
    for (const unsent of this.#unsent) {
      closeAll(unsent.fds);
    }
    this.#unsent = [];
  }

  #sendmsg(from: Uint8Array, len: number, fds: readonly number[]): number {
    const list = fds.length === 0 ? null : Int32Array.from(fds);
    for (;;) {
      const result = this.#sys.socket.sendmsg(this.#socket, from, len, list, fds.length);
      if (result !== -EINTR) {
        return result;
      }
    }
  }
}

function closeAll(fds: readonly Fd[]): void {
  for (const fd of fds) {
    fd.close();
  }
}
