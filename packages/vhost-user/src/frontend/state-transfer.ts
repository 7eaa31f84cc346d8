/** The device's state, fetched and given back (SET_DEVICE_STATE_FD, CHECK_DEVICE_STATE): for migration and snapshots. */
import {
  check,
  EAGAIN,
  EINTR,
  EPOLLIN,
  EPOLLOUT,
  type EventLoop,
  errnoName,
  Fd,
  type Sys,
  type Watch,
} from '@oriel/sys';
import { VhostUserError } from '../errors.ts';
import { VHOST_TRANSFER_STATE_DIRECTION_LOAD, VHOST_TRANSFER_STATE_DIRECTION_SAVE } from '../layout.ts';
import { encodeTransfer } from '../protocol/encode.ts';
import { readAck, readTransfer } from './check-reply.ts';
import { type Answer, ask, NO_PAYLOAD, type RequestPort } from './request-port.ts';
import type { Done } from './sequence.ts';

/** What transfers need of the connection. */
export interface TransferPort extends RequestPort {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
}

const CHUNK = 64 * 1024;

/**
 * Transfers of one connection, one at a time; all rings are stopped. The state goes through a socket pair, which both sides
 * use as the two ends of a pipe: each has its own file status flags, so that a back-end cannot make this side block.
 */
export class StateTransfer implements Disposable {
  readonly #port: TransferPort;
  #end: Fd | null = null;
  #watch: Watch | null = null;
  #abort: Done | null = null;

  constructor(port: TransferPort) {
    this.#port = port;
  }

  /**
   * Fetches the state and checks it.
   * @param limit - most bytes that are taken; more is ERR_VU_TOO_LARGE
   * @param done - ERR_VU_STATE while another transfer is on; ERR_VU_UNSUPPORTED when the back-end wants its own descriptor used
   */
  save(limit: number, done: Answer<Uint8Array>): void {
    const chunks: Uint8Array[] = [];
    let size = 0;
    this.#begin(VHOST_TRANSFER_STATE_DIRECTION_SAVE, done, (fd) => {
      const chunk = new Uint8Array(CHUNK);
      const read = this.#port.sys.fd.read(fd, chunk, CHUNK);
      if (read > 0) {
        size += read;
        if (size > limit) {
          this.#finish(tooLarge(limit));
        } else {
          chunks.push(chunk.subarray(0, read));
        }
      } else if (read === 0) {
        this.#check(() => done(null, Buffer.concat(chunks, size)));
      }
      return read;
    });
  }

  /** Gives a state back and checks it. @param state - lent until `done` */
  load(state: Uint8Array, done: Done): void {
    let sent = 0;
    this.#begin(VHOST_TRANSFER_STATE_DIRECTION_LOAD, done, (fd) => {
      if (sent === state.length) {
        this.#check(() => done(null));
        return 0;
      }
      const rest = state.subarray(sent, sent + CHUNK);
      const written = this.#port.sys.fd.write(fd, rest, rest.length);
      sent += Math.max(written, 0);
      return written;
    });
  }

  /** The connection ends: what is on its way ends with ERR_VU_CLOSED. */
  [Symbol.dispose](): void {
    if (this.#abort !== null) {
      this.#finish(new VhostUserError('ERR_VU_CLOSED', 'backend', 'the connection ended during a state transfer'));
    }
  }

  /** @param step - one read or write; its result, of which a negative errno ends the transfer */
  #begin(direction: number, done: Done, step: (fd: number) => number): void {
    const { sys, loop } = this.#port;
    if (this.#abort !== null) {
      loop.defer(() => done(new VhostUserError('ERR_VU_STATE', 'bug', 'a state transfer is under way')));
      return;
    }
    const pair = new Int32Array(2);
    check(sys.socket.socketpair(pair), 'socketpair');
    using theirs = new Fd(sys.fd, pair[1]!);
    const ours = new Fd(sys.fd, pair[0]!);
    this.#end = ours;
    this.#abort = done;
    // Ours does not block; theirs does, as the pipes of other front-ends do, and a back-end that wants otherwise says so.
    check(sys.fd.setNonBlocking(theirs.fd, false), 'fcntl');
    const payload = encodeTransfer(direction);
    ask(this.#port, 'SET_DEVICE_STATE_FD', payload, [theirs.fd], readTransfer, (error, own) => {
      if (this.#end !== ours) {
        own?.close();
      } else if (error !== null) {
        this.#finish(error);
      } else if (own instanceof Fd) {
        own.close();
        this.#finish(new VhostUserError('ERR_VU_UNSUPPORTED', 'backend', 'the back-end wants its own descriptor used'));
      } else {
        const events = direction === VHOST_TRANSFER_STATE_DIRECTION_SAVE ? EPOLLIN : EPOLLOUT;
        this.#watch = loop.watch(ours.fd, events, () => this.#step(ours.fd, step));
      }
    });
  }

  #step(fd: number, step: (fd: number) => number): void {
    const result = step(fd);
    if (result < 0 && result !== -EAGAIN && result !== -EINTR) {
      this.#finish(new VhostUserError('ERR_VU_SOCKET', 'backend', `state transfer: ${errnoName(-result)}`));
    }
  }

  /** All bytes went over: closing our end tells the reader so. */
  #check(good: () => void): void {
    this.#close();
    ask(this.#port, 'CHECK_DEVICE_STATE', NO_PAYLOAD, [], readAck, (error) => {
      if (error !== null) {
        this.#finish(error);
      } else if (this.#abort !== null) {
        this.#abort = null;
        good();
      }
    });
  }

  #finish(error: Error): void {
    this.#close();
    const done = this.#abort;
    this.#abort = null;
    done?.(error);
  }

  #close(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
    this.#end?.close();
    this.#end = null;
  }
}

function tooLarge(limit: number): VhostUserError {
  return new VhostUserError('ERR_VU_TOO_LARGE', 'backend', `device state of more than ${limit} bytes`);
}
