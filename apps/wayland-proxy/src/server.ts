/** The Wayland socket of the guest: each client that comes gets a session. */
import { unlinkSync } from 'node:fs';
import {
  EADDRINUSE,
  EMFILE,
  ENFILE,
  EPOLLIN,
  type EventLoop,
  errnoName,
  Fd,
  type Logger,
  type Watch,
} from '@oriel/sys';
import type { OpenChannel } from './channel/host-channel.ts';
import { ProxyError } from './errors.ts';
import type { FileSys } from './files/client-file.ts';
import { Session } from './proxy/session.ts';

/** Clients at a time: each has a context of the GPU and some descriptors. */
const MAX_CLIENTS = 256;
const BACKLOG = 128;
/** The user's alone, as compositors make it. */
const SOCKET_MODE = 0o700;

export interface ServerOptions {
  readonly sys: FileSys;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly openChannel: OpenChannel;
}

export class Server implements Disposable {
  readonly #options: ServerOptions;
  readonly #path: string;
  readonly #listener: Fd;
  readonly #watch: Watch;
  readonly #sessions = new Set<Session>();

  /** Listens. @throws ProxyError ERR_PROXY_USAGE where the path cannot be used */
  constructor(options: ServerOptions, path: string) {
    const { sys, loop } = options;
    this.#options = options;
    this.#path = path;
    const fd = sys.socket.listenUnix(path, SOCKET_MODE, -1, BACKLOG);
    if (fd < 0) {
      const why = fd === -EADDRINUSE ? 'another program listens there: choose another --socket' : errnoName(-fd);
      throw new ProxyError('ERR_PROXY_USAGE', `${path}: ${why}`);
    }
    this.#listener = new Fd(sys.fd, fd);
    this.#watch = loop.watch(fd, EPOLLIN, () => this.#accept());
  }

  /** Clients that are connected. */
  get clients(): number {
    return this.#sessions.size;
  }

  /** Ends all clients and removes the socket. */
  [Symbol.dispose](): void {
    if (this.#listener.closed) return;
    this.#watch[Symbol.dispose]();
    unlinkSync(this.#path);
    this.#listener.close();
    for (const session of this.#sessions) session[Symbol.dispose]();
    this.#sessions.clear();
  }

  #accept(): void {
    const { sys, log } = this.#options;
    // Those who come then wait until another one has left.
    if (this.#sessions.size >= MAX_CLIENTS) {
      this.#pause('there are too many');
      return;
    }
    const fd = sys.socket.accept(this.#listener.fd);
    if (fd === -EMFILE || fd === -ENFILE) this.#pause('no descriptors are left');
    if (fd < 0) return;
    try {
      this.#open(new Fd(sys.fd, fd));
    } catch (error) {
      // The device may come back, and with it the next client.
      log.warn('a client is refused', { error: (error as Error).message });
    }
  }

  #pause(why: string): void {
    this.#options.log.warn('new clients have to wait', { why, clients: this.#sessions.size });
    this.#watch.modify(0);
  }

  #open(client: Fd): void {
    const onClosed = () => {
      this.#sessions.delete(session);
      this.#watch.modify(EPOLLIN);
    };
    const session: Session = new Session({ ...this.#options, onClosed }, client);
    this.#sessions.add(session);
    session.start();
  }
}
