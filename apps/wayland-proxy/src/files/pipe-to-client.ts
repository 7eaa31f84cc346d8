/** Data that the host reads from a pipe of its own, on its way into what a client gave for it. */
import {
  AT_FDCWD,
  EAGAIN,
  EPOLLOUT,
  type EventLoop,
  Fd,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_WRONLY,
  type Watch,
} from '@oriel/sys';
import type { ClientFileKind, FileSys } from './client-file.ts';

const encoder = new TextEncoder();

/** A second open file for a pipe, so that it can be made non-blocking while the client's stays as it is. */
function ownEnd(sys: FileSys, fd: Fd): Fd {
  const path = encoder.encode(`/proc/self/fd/${fd.fd}\0`);
  const own = sys.file.openat(AT_FDCWD, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0);
  // -ENXIO: nobody reads it any more, so nothing can wait either.
  if (own < 0) return fd;
  fd.close();
  return new Fd(sys.fd, own);
}

export interface PipeToClientOptions {
  readonly sys: FileSys;
  readonly loop: EventLoop;
  /** Something of what waited is written. */
  readonly onDrained: () => void;
  /** All is written and closed, or nobody reads it. */
  readonly onClosed: () => void;
}

/** Queues without a bound: whoever feeds it looks at `waiting`. */
export class PipeToClient implements Disposable {
  readonly #options: PipeToClientOptions;
  readonly #fd: Fd;
  readonly #kind: ClientFileKind;
  readonly #chunks: Uint8Array[] = [];
  #waiting = 0;
  #ended = false;
  #watch: Watch | undefined;

  /** @param fd - given away */
  constructor(options: PipeToClientOptions, fd: Fd, kind: ClientFileKind) {
    this.#options = options;
    this.#kind = kind;
    this.#fd = kind === 'pipe' ? ownEnd(options.sys, fd) : fd;
  }

  /** Bytes that wait for the client. */
  get waiting(): number {
    return this.#waiting;
  }

  /** @param data - copied where it has to wait */
  push(data: Uint8Array): void {
    if (this.#fd.closed || data.length === 0) return;
    const written = this.#chunks.length > 0 ? 0 : this.#write(data);
    if (written < 0) {
      this.#close();
    } else if (written < data.length) {
      this.#chunks.push(data.slice(written));
      this.#waiting += data.length - written;
      this.#watch ??= this.#options.loop.watch(this.#fd.fd, EPOLLOUT, () => this.#drain());
    }
  }

  /** No more will come. */
  end(): void {
    this.#ended = true;
    if (this.#waiting === 0) this.#close();
  }

  /** Forgets what waits. */
  [Symbol.dispose](): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    this.#chunks.length = 0;
    this.#waiting = 0;
    this.#fd.close();
  }

  #drain(): void {
    while (this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const written = this.#write(chunk);
      if (written < 0) {
        this.#close();
        return;
      }
      this.#waiting -= written;
      if (written < chunk.length) {
        this.#chunks[0] = chunk.subarray(written);
        this.#options.onDrained();
        return;
      }
      this.#chunks.shift();
    }
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    if (this.#ended) this.#close();
    else this.#options.onDrained();
  }

  /** @returns bytes; 0 where there is no room now; a negative errno */
  #write(data: Uint8Array): number {
    const { sys } = this.#options;
    // A file takes all that its file system has room for: it cannot be watched, and need not.
    if (this.#kind === 'memory') return this.#writeAll(data);
    const written =
      this.#kind === 'socket'
        ? sys.socket.sendmsg(this.#fd.fd, data, data.length, null, 0)
        : sys.fd.write(this.#fd.fd, data, data.length);
    return written === -EAGAIN ? 0 : written;
  }

  #writeAll(data: Uint8Array): number {
    for (let at = 0; at < data.length; ) {
      const written = this.#options.sys.fd.write(this.#fd.fd, data.subarray(at), data.length - at);
      if (written <= 0) return Math.min(written, -1);
      at += written;
    }
    return data.length;
  }

  #close(): void {
    this[Symbol.dispose]();
    this.#options.onClosed();
  }
}
