/** A host program that listens at a path: the other end of a channel, in the test's hands. */
import { check, EAGAIN, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, SHUT_RDWR, type Sys } from '@oriel/sys';

const OWNER_ONLY = 0o600;

/** What came in one message. */
export interface HostMessage {
  readonly data: Uint8Array;
  readonly fds: readonly Fd[];
}

export class FakeHost implements Disposable {
  readonly #sys: Sys;
  readonly #path: string;
  #listener: Fd | null = null;
  readonly #clients: HostClient[] = [];

  constructor(sys: Sys, path: string, backlog = 16) {
    this.#sys = sys;
    this.#path = path;
    this.listen(backlog);
  }

  /** Listens, again after `die`. */
  listen(backlog = 16): void {
    const listening = check(this.#sys.socket.listenUnix(this.#path, OWNER_ONLY, -1, backlog), 'listen');
    this.#listener = new Fd(this.#sys.fd, listening);
  }

  /** The next client, or null. */
  accept(): HostClient | null {
    return this.acceptAt(this.#listener!.fd);
  }

  /** At a listener of another's. */
  acceptAt(listener: number): HostClient | null {
    const accepted = this.#sys.socket.accept(listener);
    if (accepted === -EAGAIN) return null;
    const client = new HostClient(this.#sys, new Fd(this.#sys.fd, check(accepted, 'accept')));
    this.#clients.push(client);
    return client;
  }

  /** The program ends. */
  die(): void {
    for (const client of this.#clients.splice(0)) client.close();
    this.#listener?.close();
    this.#listener = null;
  }

  [Symbol.dispose](): void {
    this.die();
  }
}

export class HostClient {
  readonly socket: Fd;
  readonly #sys: Sys;
  readonly #fds: Fd[] = [];

  constructor(sys: Sys, socket: Fd) {
    this.#sys = sys;
    this.socket = socket;
  }

  /** One sendmsg of all of it. */
  tell(data: Uint8Array, fds: readonly Fd[] = []): void {
    const numbers = fds.length === 0 ? null : Int32Array.from(fds, ({ fd }) => fd);
    const sent = check(this.#sys.socket.sendmsg(this.socket.fd, data, data.length, numbers, fds.length), 'sendmsg');
    if (sent !== data.length) throw new Error(`${sent} bytes of ${data.length} were sent`);
  }

  /** One recvmsg; null: nothing is there. Descriptors are closed with the client. */
  hear(most = 65536): HostMessage | null {
    const received = this.#sys.socket.makeRecvResult(64);
    const data = new Uint8Array(most);
    const size = this.#sys.socket.recvmsg(this.socket.fd, data, most, received);
    if (size === -EAGAIN) return null;
    const fds = [...received.fds.subarray(0, received.fdCount)].map((fd) => new Fd(this.#sys.fd, fd));
    this.#fds.push(...fds);
    return { data: data.subarray(0, check(size, 'recvmsg')), fds };
  }

  /** Ends the connection, and keeps the descriptor. */
  shutdown(): void {
    check(this.#sys.socket.shutdown(this.socket.fd, SHUT_RDWR), 'shutdown');
  }

  close(): void {
    for (const fd of this.#fds) fd.close();
    this.socket.close();
  }
}

/** A memfd of `size` bytes that begins with `content`. @param seals - F_SEAL_* */
export function makeFile(sys: Sys, content: Uint8Array, size: number, seals = 0): Fd {
  const file = new Fd(sys.fd, check(sys.mem.memfdCreate('test', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  check(sys.file.ftruncate(file.fd, size), 'ftruncate');
  check(sys.fd.pwrite(file.fd, content, content.length, 0), 'pwrite');
  if (seals !== 0) check(sys.mem.addSeals(file.fd, seals), 'fcntl');
  return file;
}

/** A pipe: its end to read (which does not wait), and its end to write. */
export function makePipe(sys: Sys): { reader: Fd; writer: Fd } {
  const ends = new Int32Array(2);
  check(sys.fd.pipe(ends), 'pipe2');
  check(sys.fd.setNonBlocking(ends[0]!, true), 'fcntl');
  return { reader: new Fd(sys.fd, ends[0]!), writer: new Fd(sys.fd, ends[1]!) };
}
