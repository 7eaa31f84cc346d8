/** Where a back-end's messages arrive: a datagram socket in a directory that only this user can enter. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check, EAGAIN, EINTR, EPOLLIN, type EventLoop, Fd, type Sys, SysError, type Watch } from '@oriel/sys';

/** SCM_MAX_FD of Linux. */
const MAX_FDS = 253;
const MAX_BYTES = 8192;

/** Takes one datagram. The bytes are lent, the descriptors given away. */
export type DatagramHandler = (bytes: Uint8Array, fds: readonly Fd[]) => void;

/** A socket for `$NOTIFY_SOCKET`. */
export class NotifySocket implements Disposable {
  /** For `$NOTIFY_SOCKET`. */
  readonly path: string;
  readonly #sys: Pick<Sys, 'socket' | 'fd'>;
  readonly #directory: string;
  readonly #socket: Fd;
  readonly #watch: Watch;
  readonly #handler: DatagramHandler;
  readonly #bytes = new Uint8Array(MAX_BYTES);

  /** @throws SysError or an error of node:fs when there is no place for the socket */
  constructor(sys: Pick<Sys, 'socket' | 'fd'>, loop: EventLoop, handler: DatagramHandler) {
    this.#sys = sys;
    this.#handler = handler;
    this.#directory = mkdtempSync(join(process.env['XDG_RUNTIME_DIR'] ?? tmpdir(), 'oriel-'));
    this.path = join(this.#directory, 'notify');
    let socket: Fd | undefined;
    try {
      socket = new Fd(sys.fd, check(sys.socket.bindDatagram(this.path, 0o600), 'bind'));
      this.#watch = loop.watch(socket.fd, EPOLLIN, () => this.drain());
    } catch (error) {
      socket?.close();
      rmSync(this.#directory, { recursive: true });
      throw error;
    }
    this.#socket = socket;
  }

  /** Handles all that has arrived: also what a child said that is gone by now. */
  drain(): void {
    const result = this.#sys.socket.makeRecvResult(MAX_FDS);
    for (;;) {
      const received = this.#sys.socket.recvmsg(this.#socket.fd, this.#bytes, MAX_BYTES, result);
      if (received === -EAGAIN) {
        return;
      }
      if (received < 0 && received !== -EINTR) {
        throw new SysError(-received, 'recvmsg');
      }
      const fds = Array.from(result.fds.subarray(0, result.fdCount), (fd) => new Fd(this.#sys.fd, fd));
      this.#handler(this.#bytes.subarray(0, Math.max(0, received)), fds);
    }
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#socket.close();
    rmSync(this.#directory, { recursive: true });
  }
}
