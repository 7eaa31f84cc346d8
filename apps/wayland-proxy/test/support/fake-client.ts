/** A Wayland client for tests, at one end of a real socket. */
import { EAGAIN, Fd, openSys } from '@oriel/sys';
import { type ArgumentValue, encodeMessage, interfaceOf, MessageStream } from '@oriel/wl';

export interface SeenEvent {
  readonly objectId: number;
  readonly opcode: number;
  readonly bytes: Uint8Array;
  readonly words: readonly number[];
}

const sys = openSys();

export class FakeClient implements Disposable {
  readonly #fd: Fd;
  readonly #stream = new MessageStream();
  readonly #received = sys.socket.makeRecvResult(28);
  readonly events: SeenEvent[] = [];
  /** Descriptors that came; the test's to close. */
  readonly fds: Fd[] = [];
  /** The proxy closed the connection. */
  ended = false;

  constructor(fd: Fd) {
    this.#fd = fd;
  }

  /** Sends raw bytes. @param fds - lent */
  send(bytes: Uint8Array, fds: readonly number[] = []): number {
    return sys.socket.sendmsg(this.#fd.fd, bytes, bytes.length, Int32Array.from(fds), fds.length);
  }

  request(
    objectId: number,
    interfaceName: string,
    name: string,
    values: ArgumentValue[],
    fds: readonly number[] = [],
  ): Uint8Array {
    const { requests } = interfaceOf(interfaceName)!;
    const opcode = requests.findIndex((request) => request.name === name);
    const bytes = encodeMessage(objectId, opcode, requests[opcode]!, values);
    this.send(bytes, fds);
    return bytes;
  }

  /** Takes what is there. */
  read(): void {
    if (this.#fd.closed) return;
    for (;;) {
      const room = this.#stream.room(4096);
      const len = sys.socket.recvmsg(this.#fd.fd, room, room.length, this.#received);
      for (let index = 0; index < this.#received.fdCount; index++) {
        this.fds.push(new Fd(sys.fd, this.#received.fds[index]!));
      }
      if (len === -EAGAIN) return;
      if (len <= 0) {
        this.ended = true;
        return;
      }
      this.#stream.filled(len);
      while (this.#stream.next()) this.#see();
    }
  }

  /** Gives the end away: the proxy sees the client go. */
  close(): void {
    this.#fd.close();
  }

  [Symbol.dispose](): void {
    this.#fd.close();
    for (const fd of this.fds) fd.close();
  }

  #see(): void {
    const bytes = this.#stream.message.slice();
    const view = new DataView(bytes.buffer);
    const words: number[] = [];
    for (let at = 8; at < bytes.length; at += 4) words.push(view.getUint32(at, true));
    this.events.push({ objectId: this.#stream.objectId, opcode: this.#stream.opcode, words, bytes });
  }
}
