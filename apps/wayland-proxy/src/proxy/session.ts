/** One client: its socket on one side, its connection to the compositor on the other. */
import {
  EAGAIN,
  ECONNRESET,
  EPIPE,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  type EventLoop,
  type Fd,
  type Logger,
  SysError,
  type Watch,
} from '@oriel/sys';
import { DISPLAY_ID, encodeMessage, interfaceOf, MessageStream, WlError } from '@oriel/wl';
import type { HostChannel, OpenChannel } from '../channel/host-channel.ts';
import { ProxyError, type WaylandError } from '../errors.ts';
import type { FileSys } from '../files/client-file.ts';
import { ClientSocket, READ_LEN } from './client-socket.ts';
import { displayEvents, Events } from './events.ts';
import { FlowGate } from './flow-gate.ts';
import { globalEvents, globalRequests } from './globals.ts';
import { Kinds } from './objects.ts';
import { Outgoing } from './outgoing.ts';
import { Pipes } from './pipes.ts';
import { releaseObject } from './release.ts';
import { Requests } from './requests.ts';
import { captureEvents, shmHooks } from './shm-hooks.ts';
import { Translation } from './translation.ts';

/** Reads in a row before other clients have their turn. */
const MAX_READS = 8;
/** wl_display.error */
const INVALID_OBJECT = 0;
const INVALID_METHOD = 1;
const NO_MEMORY = 2;
const IMPLEMENTATION = 3;
const ERROR_EVENT = 0;

export interface SessionOptions {
  readonly sys: FileSys;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly openChannel: OpenChannel;
  /** It has ended by itself. */
  readonly onClosed: () => void;
}

/** The known interfaces with what this proxy does about their messages; shared by all clients. */
const kinds = new Kinds({ ...globalRequests, ...shmHooks }, { ...displayEvents, ...globalEvents, ...captureEvents });

/** wl_display.error for what has no error of its own. */
function displayError(error: ProxyError | WlError | SysError): number {
  if (error.code === 'ERR_WL_OBJECT') return INVALID_OBJECT;
  if (error instanceof WlError) return INVALID_METHOD;
  return error.code === 'ERR_PROXY_MEMORY' ? NO_MEMORY : IMPLEMENTATION;
}

/** What the client is told of an error. */
function waylandError(error: ProxyError | WlError | SysError): WaylandError {
  const own = error instanceof ProxyError ? error.wayland : undefined;
  return own ?? { objectId: DISPLAY_ID, code: displayError(error) };
}

export class Session implements Disposable {
  readonly #options: SessionOptions;
  readonly #socket: ClientSocket;
  readonly #watch: Watch;
  readonly #channel: HostChannel;
  readonly #pipes: Pipes;
  readonly #gate = new FlowGate(() => this.#guard(() => this.#read()));
  readonly #outgoing: Outgoing;
  readonly #translation: Translation;
  readonly #requests: Requests;
  readonly #events: Events;
  readonly #stream = new MessageStream();
  #listening = EPOLLIN;
  #closed = false;

  /**
   * Connects a client that has just come.
   * @param socket - given away
   * @throws ProxyError ERR_PROXY_DEVICE, ERR_PROXY_MEMORY; SysError; Node's error where the render node cannot be opened
   */
  constructor(options: SessionOptions, socket: Fd) {
    const { sys, loop, log, openChannel } = options;
    this.#options = options;
    this.#socket = new ClientSocket(sys, socket);
    try {
      this.#channel = openChannel({
        onReceive: (data, identifiers) => this.#guard(() => this.#events.pass(data, identifiers)),
        onRead: (pipe, data, hangUp) => this.#guard(() => this.#pipes.onRead(pipe, data, hangUp)),
        onEnd: (reason) => this.#end(reason),
      });
    } catch (error) {
      this.#tell(error);
      this.#socket[Symbol.dispose]();
      throw error;
    }
    const guard = (work: () => void) => this.#guard(work);
    this.#outgoing = new Outgoing(this.#channel, this.#gate);
    const onRoom = () => this.#guard(() => {});
    this.#pipes = new Pipes({ sys, loop, channel: this.#channel, guard, onRoom });
    this.#translation = new Translation({
      sys,
      loop,
      log,
      kinds,
      channel: this.#channel,
      toHost: this.#outgoing,
      toClient: this.#socket,
      pipes: this.#pipes,
    });
    this.#translation.objects.add(DISPLAY_ID, 'client', {
      id: DISPLAY_ID,
      kind: kinds.get('wl_display')!,
      data: undefined,
    });
    this.#requests = new Requests(this.#translation);
    this.#events = new Events(this.#translation);
    try {
      this.#watch = loop.watch(socket.fd, EPOLLIN, (events) => this.#onReady(events));
    } catch (error) {
      this.#channel[Symbol.dispose]();
      this.#socket[Symbol.dispose]();
      throw error;
    }
  }

  /** Asks the host for its first message; the client's are read from the beginning. */
  start(): void {
    this.#guard(() => {});
  }

  /** Ends the client; the compositor sees it go, with what it had sent before. */
  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    this.#socket[Symbol.dispose]();
    for (const object of this.#translation.objects.values()) releaseObject(object);
    this.#pipes[Symbol.dispose]();
    this.#channel[Symbol.dispose]();
  }

  #onReady(events: number): void {
    if ((events & EPOLLIN) !== 0) this.#guard(() => this.#read());
    else if ((events & (EPOLLERR | EPOLLHUP)) !== 0) this.#leave();
    else this.#guard(() => {});
  }

  /** Runs what may end the client; then sends what it left, and asks the host for more where there is room for it. */
  #guard(work: () => void): void {
    if (this.#closed) return;
    try {
      work();
      if (this.#closed) return;
      this.#outgoing.flush();
      this.#socket.flush();
      if (this.#socket.isFlushed && !this.#pipes.isCrowded) this.#channel.poll();
      this.#listen((this.#gate.isOpen ? EPOLLIN : 0) | (this.#socket.isFlushed ? 0 : EPOLLOUT));
    } catch (error) {
      this.#fail(error);
    }
  }

  #listen(events: number): void {
    if (events === this.#listening) return;
    this.#listening = events;
    this.#watch.modify(events);
  }

  #read(): void {
    for (let count = 0; count < MAX_READS && this.#gate.isOpen; count++) {
      const received = this.#socket.receive(this.#stream);
      if (received === -EAGAIN) return;
      if (received <= 0) {
        this.#leave();
        return;
      }
      while (this.#stream.next()) this.#requests.pass(this.#stream);
      this.#outgoing.flush();
      // The rest, where there is one, is told of again.
      if (received < READ_LEN) return;
    }
  }

  /** The client is gone. */
  #leave(): void {
    try {
      this.#outgoing.flush();
      this.#pipes.finish();
    } catch (error) {
      this.#options.log.debug('the end of a client was not passed on', { error: String(error) });
    }
    this.#end('the client left');
  }

  #fail(error: unknown): void {
    if (!(error instanceof ProxyError || error instanceof WlError || error instanceof SysError)) throw error;
    if (error instanceof SysError && (error.errno === EPIPE || error.errno === ECONNRESET)) {
      this.#leave();
      return;
    }
    this.#tell(error);
    this.#options.log.warn('a client is ended', { error: error.message });
    this.#close();
  }

  /** Puts the error behind what waits, as far as the client has room. */
  #tell(error: unknown): void {
    if (!(error instanceof ProxyError || error instanceof WlError || error instanceof SysError)) return;
    const { objectId, code } = waylandError(error);
    const shape = interfaceOf('wl_display')!.events[ERROR_EVENT]!;
    this.#socket.queue(
      encodeMessage(DISPLAY_ID, ERROR_EVENT, shape, [objectId, code, `oriel-wayland: ${error.message}`]),
    );
    try {
      this.#socket.flush();
    } catch (failure) {
      this.#options.log.debug('a client does not listen any more', { error: String(failure) });
    }
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#options.log.debug('a client has ended', { reason });
    this.#close();
  }

  #close(): void {
    this[Symbol.dispose]();
    this.#options.onClosed();
  }
}
