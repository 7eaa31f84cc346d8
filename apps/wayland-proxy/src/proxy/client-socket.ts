/** One client's socket: bytes and descriptors both ways, none of which ever waits. */
import { EAGAIN, Fd, type RecvResult, type Sys, SysError } from '@oriel/sys';
import type { MessageStream } from '@oriel/wl';
import { ProxyError } from '../errors.ts';

/** Most descriptors that libwayland puts into one message, and has room for in one. */
const MAX_FDS = 28;
/** Descriptors that no request has claimed: more than any client has under way. */
const MAX_UNCLAIMED = 128;
/** Least room for one read, bytes. */
export const READ_LEN = 4096;

export class ClientSocket implements Disposable {
  readonly #sys: Pick<Sys, 'socket' | 'fd'>;
  readonly #fd: Fd;
  readonly #received: RecvResult;
  readonly #incoming: Fd[] = [];
  readonly #outgoing: Fd[] = [];
  #chunks: Uint8Array[] = [];

  constructor(sys: Pick<Sys, 'socket' | 'fd'>, fd: Fd) {
    this.#sys = sys;
    this.#fd = fd;
    this.#received = sys.socket.makeRecvResult(MAX_FDS);
  }

  get fd(): number {
    return this.#fd.fd;
  }

  /**
   * Reads once.
   * @returns bytes, 0 at the end, or a negative errno
   * @throws ProxyError ERR_PROXY_CLIENT for too many descriptors
   */
  receive(stream: MessageStream): number {
    const room = stream.room(READ_LEN);
    const result = this.#sys.socket.recvmsg(this.#fd.fd, room, room.length, this.#received);
    for (let index = 0; index < this.#received.fdCount; index++) {
      this.#incoming.push(new Fd(this.#sys.fd, this.#received.fds[index]!));
    }
    if (this.#received.truncated || this.#incoming.length > MAX_UNCLAIMED) {
      throw new ProxyError('ERR_PROXY_CLIENT', 'more descriptors than messages for them');
    }
    if (result > 0) stream.filled(result);
    return result;
  }

  /** The descriptors of a request, which the caller then owns. @throws ProxyError ERR_PROXY_CLIENT when they did not come */
  takeFds(count: number): Fd[] {
    if (count > this.#incoming.length)
      throw new ProxyError('ERR_PROXY_CLIENT', 'a request came without its descriptor');
    return this.#incoming.splice(0, count);
  }

  /** Puts bytes (copied) and descriptors (given away) behind what waits. */
  queue(bytes: Uint8Array, fds: readonly Fd[] = []): void {
    if (this.#outgoing.length + fds.length > MAX_FDS)
      throw new ProxyError('ERR_PROXY_HOST', 'too many descriptors at once');
    this.#chunks.push(bytes.slice());
    this.#outgoing.push(...fds);
  }

  /** Nothing waits for the client to read. */
  get isFlushed(): boolean {
    return this.#chunks.length === 0;
  }

  /** Sends what waits, as far as the client has room. @throws SysError EPIPE, ECONNRESET */
  flush(): void {
    if (this.#chunks.length === 0) return;
    let bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
    while (bytes.length > 0) {
      const fds = Int32Array.from(this.#outgoing, ({ fd }) => fd);
      const sent = this.#sys.socket.sendmsg(this.#fd.fd, bytes, bytes.length, fds, fds.length);
      if (sent === -EAGAIN) break;
      if (sent < 0) throw new SysError(-sent, 'sendmsg');
      this.#closeAll(this.#outgoing);
      bytes = bytes.subarray(sent);
    }
    this.#chunks = bytes.length > 0 ? [bytes] : [];
  }

  [Symbol.dispose](): void {
    this.#closeAll(this.#incoming);
    this.#closeAll(this.#outgoing);
    this.#fd.close();
  }

  #closeAll(fds: Fd[]): void {
    for (const fd of fds.splice(0)) fd.close();
  }
}
