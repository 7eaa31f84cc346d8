/**
 * Asks a compositor to accept clients of a listening socket under a security context (wp_security_context_v1, from
 * wayland-protocols staging): a small Wayland client that is gone when that is done.
 */
import {
  EAGAIN,
  ECONNRESET,
  EINVAL,
  ENOSYS,
  EPERM,
  EPOLLET,
  EPOLLIN,
  EPOLLRDHUP,
  ETIMEDOUT,
  type Fd,
  type LoopTimer,
  type Watch,
} from '@oriel/sys';
import { connectTo, type DoorHost } from '../channel/door.ts';
import { tryWatch } from '../io/try-watch.ts';
import { encodeMessage, type WireArgument, type WireEvent, WireReader } from './wire.ts';

/** What the compositor is told of the clients. Absent: nothing. */
export interface SecurityIdentity {
  readonly appId?: string;
  readonly instanceId?: string;
}

export const SANDBOX_ENGINE = 'oriel';

const MANAGER = 'wp_security_context_manager_v1';
/** A compositor that answers no faster counts as dead. */
const PATIENCE_MS = 5000;
const READ_SIZE = 4096;

/** Object ids. */
const DISPLAY = 1;
const REGISTRY = 2;
const FIRST_SYNC = 3;
const MANAGER_ID = 4;
const CONTEXT = 5;
const LAST_SYNC = 6;

/** Requests, by opcode. */
const DISPLAY_SYNC = 0;
const DISPLAY_GET_REGISTRY = 1;
const REGISTRY_BIND = 0;
const MANAGER_CREATE_LISTENER = 1;
const SET_SANDBOX_ENGINE = 1;
const SET_APP_ID = 2;
const SET_INSTANCE_ID = 3;
const COMMIT = 4;
/** Events. */
const DISPLAY_ERROR = 0;
const REGISTRY_GLOBAL = 0;
const CALLBACK_DONE = 0;

/** Descriptors that go to the compositor, lent until it is `done`: where it accepts, and by whose end it knows when to stop. */
export interface ListenerFds {
  readonly listenFd: number;
  readonly closeFd: number;
}

/**
 * Attaches.
 * @param listen - makes what the compositor gets, once it is known to take it; a negative errno where that fails
 * @param done - once: 0; -ENOSYS where the compositor has no security contexts, -EPERM where it refuses, or another negative errno
 * @returns dispose it to give up
 */
export function attachSecurityContext(
  path: string,
  host: DoorHost,
  listen: () => ListenerFds | number,
  identity: SecurityIdentity,
  done: (result: number) => void,
): Disposable {
  const client = new SecurityClient(host, listen, identity, done);
  client.start(path);
  return client;
}

class SecurityClient implements Disposable {
  readonly #host: DoorHost;
  readonly #listen: () => ListenerFds | number;
  readonly #identity: SecurityIdentity;
  readonly #done: (result: number) => void;
  readonly #reader = new WireReader();
  readonly #timer: LoopTimer;
  #connecting: Disposable | null = null;
  #socket: Fd | null = null;
  #watch: Watch | null = null;
  #manager = 0;
  #over = false;

  constructor(
    host: DoorHost,
    listen: () => ListenerFds | number,
    identity: SecurityIdentity,
    done: (result: number) => void,
  ) {
    this.#host = host;
    this.#listen = listen;
    this.#identity = identity;
    this.#done = done;
    this.#timer = host.loop.timer(PATIENCE_MS, () => this.#finish(-ETIMEDOUT));
  }

  start(path: string): void {
    this.#connecting = connectTo(path, this.#host, (socket) => {
      if (typeof socket === 'number') this.#finish(socket);
      else this.#greet(socket);
    });
  }

  [Symbol.dispose](): void {
    this.#over = true;
    this.#timer[Symbol.dispose]();
    this.#connecting?.[Symbol.dispose]();
    this.#watch?.[Symbol.dispose]();
    this.#socket?.close();
  }

  #greet(socket: Fd): void {
    this.#socket = socket;
    const events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    this.#watch = tryWatch(this.#host.loop, socket.fd, events, () => this.#read());
    this.#say(DISPLAY, DISPLAY_GET_REGISTRY, REGISTRY);
    this.#say(DISPLAY, DISPLAY_SYNC, FIRST_SYNC);
  }

  /** Requests of this client are short, and fit into an empty socket. */
  #say(object: number, opcode: number, ...args: readonly WireArgument[]): void {
    this.#send(encodeMessage(object, opcode, ...args), null);
  }

  #send(message: Uint8Array, fds: Int32Array | null): void {
    if (this.#over || this.#socket === null) return;
    const { socket } = this.#host.sys;
    const sent = socket.sendmsg(this.#socket.fd, message, message.length, fds, fds?.length ?? 0);
    if (sent !== message.length) this.#finish(Math.min(sent, -EAGAIN));
  }

  #read(): void {
    const { sys } = this.#host;
    const bytes = new Uint8Array(READ_SIZE);
    const received = sys.socket.makeRecvResult(0);
    while (!this.#over && this.#socket !== null) {
      const size = sys.socket.recvmsg(this.#socket.fd, bytes, READ_SIZE, received);
      if (size === -EAGAIN) return;
      const events = size > 0 ? this.#reader.push(bytes.subarray(0, size)) : null;
      if (events === null) {
        this.#finish(size > 0 ? -EINVAL : Math.min(size, 0) || -ECONNRESET);
        return;
      }
      for (const event of events) this.#take(event);
    }
  }

  #take(event: WireEvent): void {
    const { object, opcode } = event;
    if (object === DISPLAY && opcode === DISPLAY_ERROR) this.#finish(-EPERM);
    else if (object === REGISTRY && opcode === REGISTRY_GLOBAL) {
      const name = event.number();
      if (event.text() === MANAGER) this.#manager = name;
    } else if (object === FIRST_SYNC && opcode === CALLBACK_DONE) this.#attach();
    else if (object === LAST_SYNC && opcode === CALLBACK_DONE) this.#finish(0);
  }

  #attach(): void {
    if (this.#manager === 0) {
      this.#finish(-ENOSYS);
      return;
    }
    const listener = this.#listen();
    if (typeof listener === 'number') {
      this.#finish(listener);
      return;
    }
    const { listenFd, closeFd } = listener;
    const { appId, instanceId } = this.#identity;
    this.#say(REGISTRY, REGISTRY_BIND, this.#manager, MANAGER, 1, MANAGER_ID);
    this.#send(encodeMessage(MANAGER_ID, MANAGER_CREATE_LISTENER, CONTEXT), Int32Array.of(listenFd, closeFd));
    this.#say(CONTEXT, SET_SANDBOX_ENGINE, SANDBOX_ENGINE);
    if (appId !== undefined) this.#say(CONTEXT, SET_APP_ID, appId);
    if (instanceId !== undefined) this.#say(CONTEXT, SET_INSTANCE_ID, instanceId);
    this.#say(CONTEXT, COMMIT);
    this.#say(DISPLAY, DISPLAY_SYNC, LAST_SYNC);
  }

  #finish(result: number): void {
    if (this.#over) return;
    this[Symbol.dispose]();
    this.#done(result);
  }
}
