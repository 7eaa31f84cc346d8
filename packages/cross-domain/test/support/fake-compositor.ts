/** A compositor of a few lines, for the part of Wayland that security contexts need. */
import { EPOLLHUP, EPOLLIN, type EventLoop, type Fd, type Sys, type Watch } from '@oriel/sys';
import { encodeMessage, WireReader } from '../../src/security-context/wire.ts';
import type { FakeHost, HostClient } from './fake-host.ts';

/** What it was told of a listener. */
export interface AttachedContext {
  readonly listener: Fd;
  readonly closeFd: Fd;
  readonly sandboxEngine: string;
  readonly appId: string;
  readonly instanceId: string;
}

export type CompositorKind = 'full' | 'without' | 'refusing' | 'silent' | 'babbling';

const MANAGER = 'wp_security_context_manager_v1';

export class FakeCompositor implements Disposable {
  readonly host: FakeHost;
  readonly contexts: AttachedContext[] = [];
  /** Requests as they came: `object.opcode`. */
  readonly requests: string[] = [];
  /** Clients that shook hands. */
  clients = 0;
  readonly #kind: CompositorKind;
  readonly #sys: Sys;
  readonly #loop: EventLoop;
  readonly #watches: Watch[] = [];
  readonly #fds: Fd[] = [];

  constructor(sys: Sys, loop: EventLoop, host: FakeHost, kind: CompositorKind = 'full') {
    this.#sys = sys;
    this.#loop = loop;
    this.#kind = kind;
    this.host = host;
  }

  /** Takes a client that will shake hands, if one is there. */
  welcome(): boolean {
    const client = this.host.accept();
    if (client === null) return false;
    this.clients++;
    if (this.#kind === 'silent') return true;
    const reader = new WireReader();
    const texts: string[] = [];
    this.#watches.push(
      this.#loop.watch(client.socket.fd, EPOLLIN | EPOLLHUP, () => this.#serve(client, reader, texts)),
    );
    return true;
  }

  /** True when the end of the pipe that the other side keeps is closed. */
  isOver(context: AttachedContext): boolean {
    this.#sys.fd.setNonBlocking(context.closeFd.fd, true);
    return this.#sys.fd.read(context.closeFd.fd, new Uint8Array(1), 1) === 0;
  }

  /** It ends: its listeners too. */
  die(): void {
    for (const watch of this.#watches.splice(0)) watch[Symbol.dispose]();
    for (const fd of this.#fds.splice(0)) fd.close();
    this.host.die();
  }

  [Symbol.dispose](): void {
    this.die();
  }

  #serve(client: HostClient, reader: WireReader, texts: string[]): void {
    const message = client.hear();
    if (message === null || message.data.length === 0) {
      this.#watches.shift()![Symbol.dispose]();
      return;
    }
    const kept = message.fds.map((fd) => fd.dup());
    this.#fds.push(...kept);
    for (const event of reader.push(message.data)!) {
      const { object, opcode } = event;
      this.requests.push(`${object}.${opcode}`);
      if (object === 1 && opcode === 0) this.#done(client, event.number());
      if (object === 5 && opcode < 4) texts[opcode] = event.text();
      if (object === 5 && opcode === 4) this.#commit(texts);
    }
  }

  /** wl_display.sync: the globals first, the first time. */
  #done(client: HostClient, callback: number): void {
    if (this.#kind === 'babbling') {
      client.tell(new Uint8Array(64).fill(0xff));
      return;
    }
    if (callback === 3) {
      client.tell(encodeMessage(2, 0, 1, 'wl_compositor', 6));
      if (this.#kind !== 'without') client.tell(encodeMessage(2, 0, 7, MANAGER, 1));
    }
    if (callback === 6 && this.#kind === 'refusing') client.tell(encodeMessage(1, 0, 5, 3, 'no'));
    else client.tell(encodeMessage(callback, 0, 1));
  }

  #commit([, sandboxEngine = '', appId = '', instanceId = '']: readonly string[]): void {
    const [listener, closeFd] = this.#fds.slice(-2);
    this.contexts.push({ listener: listener!, closeFd: closeFd!, sandboxEngine, appId, instanceId });
  }
}
