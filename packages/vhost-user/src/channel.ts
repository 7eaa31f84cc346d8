/**
 * One non-blocking stream socket as a sequence of messages: both the main and the back channel, at either end. Knows the
 * header and nothing of the payloads.
 */
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, type EventLoop, Fd, type Sys, type Watch } from '@oriel/sys';
import { publishMessage, vhostUserChannel } from './diagnostics.ts';
import type { VhostUserBlame, VhostUserError } from './errors.ts';
import { VhostUserHeader } from './layout.ts';
import { type IncomingMessage, MessageReader, type ReceivedPart, socketError } from './message-reader.ts';
import { MAX_PAYLOAD } from './protocol/payload.ts';
import { SendQueue } from './send-queue.ts';

const HEADER = VhostUserHeader.byteLength;
/** Messages handled before the loop gets its turn: a flood on one socket starves nobody. */
const MESSAGES_PER_TURN = 32;

/** What a channel needs. */
export interface ChannelOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
  /** Connected stream socket, given away. */
  readonly socket: Fd;
  /** Which of the two it is, for those who watch. */
  readonly name: 'main' | 'back';
  /** Who sits at the other end: to blame. */
  readonly peer: VhostUserBlame;
  /** While the peer does not take what was sent: 'pause' reads nothing more (a server's memory stays bounded), 'read' goes on. */
  readonly whileSending: 'pause' | 'read';
  readonly onMessage: (message: IncomingMessage) => void;
  /** The stream is at its end (null: between two messages) or broken. The channel is disposed already. */
  readonly onClose: (error: VhostUserError | null) => void;
}

/** What is left of a channel that let go. */
export interface ReleasedChannel {
  readonly socket: Fd;
  readonly received: ReceivedPart;
}

/** Framing on one socket. */
export class Channel implements Disposable {
  readonly #options: ChannelOptions;
  readonly #watch: Watch;
  readonly #queue: SendQueue;
  readonly #reader: MessageReader;
  readonly #out = new Uint8Array(HEADER + MAX_PAYLOAD);
  readonly #outHeader = new DataView(this.#out.buffer, 0, HEADER);
  #paused = false;
  #closed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    const { sys, socket, loop } = options;
    this.#queue = new SendQueue(sys, socket.fd);
    this.#reader = new MessageReader(sys, socket, options.peer);
    try {
      sys.fd.setNonBlocking(socket.fd, true);
      this.#watch = loop.watch(socket.fd, EPOLLIN, (events) => this.#onReady(events));
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** True once disposed, by the owner or by the end of the stream. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Sends one message: header, payload and descriptors in one sendmsg; what the socket does not take is kept and sent
   * later, in order. A broken socket is reported by `onClose`, from the loop.
   * @param payload - copied
   * @param fds - lent for the call
   */
  send(id: number, flags: number, payload: Uint8Array | null, fds: readonly number[] = []): void {
    if (this.#closed) {
      return;
    }
    const size = payload === null ? 0 : payload.length;
    if (size > MAX_PAYLOAD) {
      throw new RangeError(`payload of ${size} bytes, the limit is ${MAX_PAYLOAD}`);
    }
    VhostUserHeader.request.set(this.#outHeader, 0, id);
    VhostUserHeader.flags.set(this.#outHeader, 0, flags);
    VhostUserHeader.size.set(this.#outHeader, 0, size);
    if (payload !== null) {
      this.#out.set(payload, HEADER);
    }
    if (vhostUserChannel.hasSubscribers) {
      publishMessage(this.#options.name, 'out', id, flags, size, fds.length);
    }
    const result = this.#queue.send(this.#out, HEADER + size, fds);
    if (result < 0) {
      // The caller may be in the middle of anything: the end of the connection is told from the loop.
      this.#options.loop.defer(() => this.#sendFailed(result));
    } else if (!this.#queue.isEmpty) {
      this.#watch.modify(this.#interest);
    }
  }

  /** Reads nothing more until `resume`; the end of the peer is still noticed. */
  pause(): void {
    this.#paused = true;
    if (!this.#closed) {
      this.#watch.modify(this.#interest);
    }
  }

  /** Reads on, from the loop. */
  resume(): void {
    this.#paused = false;
    if (!this.#closed) {
      this.#watch.modify(this.#interest);
    }
  }

  /** True when everything sent has gone. */
  get flushed(): boolean {
    return this.#queue.isEmpty;
  }

  /**
   * Lets go of the socket: for another channel, which goes on where this one was.
   * @returns the socket, and what was read of a message that is not complete, all given away
   */
  release(): ReleasedChannel {
    const received = this.#reader.takePart();
    const socket = new Fd(this.#options.sys.fd, this.#options.socket.take());
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    return { socket, received };
  }

  /** Takes what another channel on this socket has read; before anything else is read. @throws RangeError for too much */
  resumeWith(part: ReceivedPart): void {
    this.#reader.resumeWith(part);
  }

  /** Closes the socket and every descriptor at hand, without `onClose`. Harmless a second time. */
  [Symbol.dispose](): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    this.#queue.clear();
    this.#reader.message.fds.closeAll();
    this.#options.socket.close();
  }

  #onReady(events: number): void {
    if (!this.#queue.isEmpty && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) !== 0) {
      const result = this.#queue.flush();
      if (result < 0) {
        this.#sendFailed(result);
        return;
      }
      if (this.#queue.isEmpty) {
        this.#watch.modify(this.#interest);
      }
    }
    if (this.#paused && (events & (EPOLLERR | EPOLLHUP)) !== 0) {
      this.#fail(null);
      return;
    }
    this.#readTurn();
  }

  get #mayRead(): boolean {
    return !this.#paused && (this.#options.whileSending === 'read' || this.#queue.isEmpty);
  }

  get #interest(): number {
    return (this.#mayRead ? EPOLLIN : 0) | (this.#queue.isEmpty ? 0 : EPOLLOUT);
  }

  #readTurn(): void {
    for (let left = MESSAGES_PER_TURN; left > 0 && !this.#closed && this.#mayRead; left--) {
      if (this.#reader.read()) {
        this.#handle(this.#reader.message);
        continue;
      }
      if (this.#reader.end !== undefined) {
        this.#fail(this.#reader.end);
      }
      return;
    }
  }

  #handle(message: IncomingMessage): void {
    if (vhostUserChannel.hasSubscribers) {
      publishMessage(this.#options.name, 'in', message.id, message.flags, message.size, message.fds.count);
    }
    try {
      this.#options.onMessage(message);
    } finally {
      message.fds.closeAll();
    }
  }

  /** A peer that closed may have said why: what it sent last is read before the connection ends. */
  #sendFailed(result: number): void {
    this.#queue.clear();
    this.#readTurn();
    this.#fail(socketError('sendmsg', result));
  }

  #fail(error: VhostUserError | null): void {
    if (this.#closed) {
      return;
    }
    this[Symbol.dispose]();
    this.#options.onClose(error);
  }
}
