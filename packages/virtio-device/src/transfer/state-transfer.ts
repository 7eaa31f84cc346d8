/** The way of a device's state through a pipe or socket, a piece at each turn of the loop. */
import {
  EAGAIN,
  EINTR,
  EPOLLIN,
  EPOLLOUT,
  type EventLoop,
  errnoName,
  type Fd,
  type Logger,
  type Sys,
  type Watch,
} from '@oriel/sys';

/** Bytes at a turn: what a Linux pipe holds. */
const PIECE = 65_536;

/** Gives a state away in pieces. Disposed at the end, whatever that is. */
export interface StateSource extends Disposable {
  /** Fills the front of `into`, 64 KiB. @returns bytes, 0 at the end, or a negative errno: the state cannot be told */
  read(into: Uint8Array): number;
}

/** Takes a state in pieces, as they come: a record may be spread over several. Disposed at the end, whatever that is. */
export interface StateSink extends Disposable {
  /** @param bytes - lent; hostile input @returns 0, or a negative errno: the state is refused */
  write(bytes: Uint8Array): number;
  /** All was taken. @returns as `write` */
  end(): number;
}

/** What a transfer needs of the device's host. */
export interface TransferHost {
  readonly sys: Pick<Sys, 'fd'>;
  readonly loop: EventLoop;
  readonly log: Logger;
}

/**
 * Writes a state, for `VirtioDevice.saveState`.
 * @param to - given away, non-blocking; closed before `done`
 * @returns ends it when disposed: `done(false)`, unless it is done
 * @throws SysError EMFILE, ENOMEM; nothing was begun then
 */
export function sendState(host: TransferHost, to: Fd, source: StateSource, done: (ok: boolean) => void): Disposable {
  const piece = new Uint8Array(PIECE);
  let at = 0;
  let end = 0;
  return new Transfer(host, to, EPOLLOUT, source, done, (fd) => {
    if (at === end) {
      at = 0;
      end = source.read(piece);
      if (end <= 0) return end;
    }
    const written = host.sys.fd.write(fd, piece.subarray(at, end), end - at);
    if (written > 0) at += written;
    return written;
  });
}

/**
 * Reads a state to its end, for `VirtioDevice.loadState`.
 * @param from - given away, non-blocking; closed before `done`
 * @returns as `sendState`
 * @throws SysError EMFILE, ENOMEM; nothing was begun then
 */
export function receiveState(host: TransferHost, from: Fd, sink: StateSink, done: (ok: boolean) => void): Disposable {
  const piece = new Uint8Array(PIECE);
  return new Transfer(host, from, EPOLLIN, sink, done, (fd) => {
    const read = host.sys.fd.read(fd, piece, PIECE);
    if (read < 0) return read;
    if (read === 0) return sink.end();
    const taken = sink.write(piece.subarray(0, read));
    return taken < 0 ? taken : read;
  });
}

class Transfer implements Disposable {
  readonly #host: TransferHost;
  readonly #fd: Fd;
  readonly #state: Disposable;
  readonly #done: (ok: boolean) => void;
  readonly #watch: Watch;
  #ended = false;

  /** @param step - one piece: bytes, 0 at the end, or a negative errno */
  constructor(
    host: TransferHost,
    fd: Fd,
    events: number,
    state: Disposable,
    done: (ok: boolean) => void,
    step: (fd: number) => number,
  ) {
    this.#host = host;
    this.#fd = fd;
    this.#state = state;
    this.#done = done;
    try {
      this.#watch = host.loop.watch(fd.fd, events, () => this.#turn(step));
    } catch (error) {
      fd.close();
      state[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#end(false);
  }

  #turn(step: (fd: number) => number): void {
    if (this.#ended) return;
    let result: number;
    try {
      result = step(this.#fd.fd);
    } catch (error) {
      this.#host.log.error(`the device state: ${String(error)}`);
      this.#end(false);
      return;
    }
    if (result > 0 || result === -EAGAIN || result === -EINTR) return;
    if (result < 0) {
      this.#host.log.error('the device state could not be transferred', { errno: errnoName(-result) });
    }
    this.#end(result === 0);
  }

  #end(ok: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watch[Symbol.dispose]();
    this.#fd.close();
    this.#state[Symbol.dispose]();
    this.#done(ok);
  }
}
