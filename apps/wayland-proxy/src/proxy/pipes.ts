/** The pipes of one client, for selections: both ways, each with what keeps it from filling memory. */
import type { EventLoop, Fd } from '@oriel/sys';
import type { HostChannel, Identifier } from '../channel/host-channel.ts';
import { CROSS_DOMAIN_ID_TYPE_READ_PIPE } from '../channel/protocol.ts';
import { ProxyError } from '../errors.ts';
import type { ClientFileKind, FileSys } from '../files/client-file.ts';
import { PipeToClient } from '../files/pipe-to-client.ts';
import { PipeToHost } from '../files/pipe-to-host.ts';

/** Pipes of one client at a time. */
const MAX_PIPES = 64;
/** Bytes that wait for a client to read them, before the host is asked for no more of anything. */
const MAX_WAITING = 1024 * 1024;

export interface PipesOptions {
  readonly sys: FileSys;
  readonly loop: EventLoop;
  readonly channel: HostChannel;
  /** Runs what may throw. */
  readonly guard: (work: () => void) => void;
  /** There may be room for more of the host's messages. */
  readonly onRoom: () => void;
}

export class Pipes implements Disposable {
  readonly #options: PipesOptions;
  /** By the host's number, until the host says that its pipe has ended. */
  readonly #reading = new Map<number, PipeToClient>();
  /** Until all is written. */
  readonly #toClient = new Set<PipeToClient>();
  readonly #toHost = new Set<PipeToHost>();

  constructor(options: PipesOptions) {
    this.#options = options;
  }

  /** Too much waits for the client. */
  get isCrowded(): boolean {
    let waiting = 0;
    for (const pipe of this.#toClient) waiting += pipe.waiting;
    return waiting >= MAX_WAITING;
  }

  /**
   * The host is to send what is written into a pipe of its own.
   * @param target - what the client gave for it
   * @throws ProxyError ERR_PROXY_CLIENT
   */
  fromHost(target: Fd, kind: ClientFileKind): Identifier {
    this.#checkCount();
    const { sys, loop, channel, onRoom } = this.#options;
    const id = channel.nextReadPipe();
    const onClosed = () => {
      this.#toClient.delete(pipe);
      onRoom();
    };
    const pipe: PipeToClient = new PipeToClient({ sys, loop, onDrained: onRoom, onClosed }, target, kind);
    this.#toClient.add(pipe);
    this.#reading.set(id, pipe);
    return { id, type: CROSS_DOMAIN_ID_TYPE_READ_PIPE, size: 0 };
  }

  /** The client is to write what goes into a pipe of the host. @returns the client's end @throws ProxyError, SysError */
  toHost(id: number): Fd {
    this.#checkCount();
    const { sys, loop, channel, guard } = this.#options;
    const onClosed = () => this.#toHost.delete(pipe);
    const pipe: PipeToHost = new PipeToHost({ sys, loop, channel, id, guard, onClosed });
    this.#toHost.add(pipe);
    return pipe.writing;
  }

  /** Data came for a pipe; one that is no more is of no interest. */
  onRead(id: number, data: Uint8Array, hangUp: boolean): void {
    const pipe = this.#reading.get(id);
    pipe?.push(data);
    if (!hangUp) return;
    this.#reading.delete(id);
    pipe?.end();
  }

  /** Sends on what the client has written and left. @throws ProxyError ERR_PROXY_DEVICE */
  finish(): void {
    for (const pipe of [...this.#toHost]) pipe.finish();
  }

  [Symbol.dispose](): void {
    for (const pipe of [...this.#toClient, ...this.#toHost]) pipe[Symbol.dispose]();
    this.#reading.clear();
    this.#toClient.clear();
    this.#toHost.clear();
  }

  #checkCount(): void {
    if (this.#toClient.size + this.#toHost.size >= MAX_PIPES) {
      throw new ProxyError('ERR_PROXY_CLIENT', `more than ${MAX_PIPES} pipes at a time`);
    }
  }
}
