/** A listening socket that hands out one front-end at a time; a second one waits in the backlog. */

import type { EventLoop, Logger, LoopTimer, Sys, Watch } from '@oriel/sys';
import {
  AT_FDCWD,
  check,
  EAGAIN,
  ECONNABORTED,
  EINTR,
  EPOLLIN,
  errnoName,
  Fd,
  STATX_BASIC_STATS,
  Statx,
  SysError,
} from '@oriel/sys';
import { DeviceError } from './errors.ts';
import type { RateLimit } from './rate-limit.ts';

/** A front-end that comes while another is served waits here. */
const BACKLOG = 8;
/** After EMFILE, ENFILE and the like: descriptors come free when others let go of them, which nobody reports. */
const RETRY_MS = 100;
const OWNER_ONLY = 0o600;
const OWNER_AND_GROUP = 0o660;

/** What a listener needs. */
export interface ListenerOptions {
  readonly sys: Pick<Sys, 'socket' | 'fd' | 'file'>;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly logLimit: RateLimit;
  /** Called with each accepted socket, which is given away; the listener has stopped accepting. */
  readonly onConnection: (socket: Fd) => void;
  readonly onAcceptError: () => void;
}

/** The identity of a file: a socket file is removed only while it is the one that was made here. */
interface FileId {
  readonly path: Uint8Array;
  readonly identity: string;
}

function identify(sys: Pick<Sys, 'file'>, path: Uint8Array): string | null {
  const buffer = new Uint8Array(Statx.byteLength);
  if (sys.file.statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, buffer) < 0) {
    return null;
  }
  const view = new DataView(buffer.buffer);
  return [Statx.stxDevMajor, Statx.stxDevMinor, Statx.stxIno].map((field) => field.get(view, 0)).join(':');
}

function fileAt(sys: Pick<Sys, 'file'>, path: string): FileId | null {
  const bytes = new TextEncoder().encode(`${path}\0`);
  const identity = identify(sys, bytes);
  return identity === null ? null : { path: bytes, identity };
}

/** Accepts by `open()`, one connection a call. */
export class Listener implements Disposable {
  readonly #options: ListenerOptions;
  readonly #socket: Fd;
  readonly #file: FileId | null;
  #watch: Watch | null = null;
  #retry: LoopTimer | null = null;

  private constructor(options: ListenerOptions, socket: Fd, file: FileId | null) {
    this.#options = options;
    this.#socket = socket;
    this.#file = file;
  }

  /**
   * Listens at a path: mode 0600, or 0660 with a group. A socket file that nobody serves is replaced.
   * @param group - group id, -1 for none
   * @throws DeviceError ERR_DEVICE_SOCKET: somebody listens there, or the path cannot be used
   */
  static atPath(options: ListenerOptions, path: string, group: number): Listener {
    const { sys } = options;
    const fd = sys.socket.listenUnix(path, group === -1 ? OWNER_ONLY : OWNER_AND_GROUP, group, BACKLOG);
    if (fd < 0) {
      const cause = new SysError(-fd, 'listen');
      throw new DeviceError('ERR_DEVICE_SOCKET', `cannot listen at ${path}: ${cause.code}`, { cause });
    }
    return new Listener(options, new Fd(sys.fd, fd), fileAt(sys, path));
  }

  /**
   * Goes on with a socket that was made to listen at `path`.
   * @param socket - given away; null: there is none
   * @returns null when there is none, or it cannot be reached, since its file is gone
   */
  static found(options: ListenerOptions, path: string, socket: Fd | null): Listener | null {
    if (socket === null) {
      return null;
    }
    const { sys } = options;
    const file = sys.socket.isListening(socket.fd) === 1 ? fileAt(sys, path) : null;
    if (file === null) {
      socket.close();
      return null;
    }
    return new Listener(options, socket, file);
  }

  /** Serves a socket that somebody else made to listen. */
  static onSocket(options: ListenerOptions, socket: Fd): Listener {
    return new Listener(options, socket, null);
  }

  /** The socket; lent. */
  get fd(): number {
    return this.#socket.fd;
  }

  /** Accepts the next front-end, now or when one comes. @throws SysError when the socket cannot be watched */
  open(): void {
    this.#watch ??= this.#options.loop.watch(this.#socket.fd, EPOLLIN, () => this.#accept());
  }

  /** Accepts no more, and leaves the file to who goes on with the socket. */
  leave(): void {
    this.#pause();
    this.#socket.close();
  }

  /** Accepts no more; removes the socket file that it made. */
  [Symbol.dispose](): void {
    if (this.#socket.closed) {
      return;
    }
    this.#pause();
    const { sys } = this.#options;
    const file = this.#file;
    if (file !== null && identify(sys, file.path) === file.identity) {
      sys.file.unlinkat(AT_FDCWD, file.path, 0);
    }
    this.#socket.close();
  }

  #pause(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
    this.#retry?.[Symbol.dispose]();
    this.#retry = null;
  }

  #accept(): void {
    const { sys, loop, log, logLimit, onConnection, onAcceptError } = this.#options;
    const fd = sys.socket.accept(this.#socket.fd);
    if (fd >= 0) {
      this.#pause();
      onConnection(new Fd(sys.fd, fd));
      return;
    }
    if (fd === -EAGAIN || fd === -EINTR || fd === -ECONNABORTED) {
      return;
    }
    this.#pause();
    onAcceptError();
    if (logLimit.allow()) {
      log.warn(`accept: ${errnoName(-fd)}, the front-end waits, next try in ${RETRY_MS} ms${logLimit.tail()}`);
    }
    this.#retry = loop.timer(RETRY_MS, () => {
      this.#retry = null;
      this.open();
    });
  }
}

/** Readies a socket that was handed to us. @returns true when it listens @throws DeviceError ERR_DEVICE_SOCKET */
export function adoptSocket(sys: Pick<Sys, 'socket' | 'fd'>, fd: number): boolean {
  const listening = sys.socket.isListening(fd);
  if (listening < 0) {
    const cause = new SysError(-listening, 'getsockopt');
    throw new DeviceError('ERR_DEVICE_SOCKET', `descriptor ${fd} is no socket: ${cause.code}`, { cause });
  }
  check(sys.fd.setCloexec(fd, true), 'fcntl');
  check(sys.fd.setNonBlocking(fd, true), 'fcntl');
  return listening === 1;
}
