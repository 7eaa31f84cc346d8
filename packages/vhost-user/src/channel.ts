/**
 * One non-blocking stream socket as a sequence of messages: both the main and the back channel, at either end. Knows the
 * header and nothing of the payloads.
 */
import {
  EAGAIN,
  ECONNRESET,
  EINTR,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  type EventLoop,
  errnoName,
  Fd,
  type RecvResult,
  type Sys,
  type Watch,
} from '@oriel/sys';
import { publishMessage, vhostUserChannel } from './diagnostics.ts';
import type { VhostUserBlame, VhostUserErrorCode } from './errors.ts';
import { VhostUserError } from './errors.ts';
import {
  VHOST_USER_NEED_REPLY_MASK,
  VHOST_USER_REPLY_MASK,
  VHOST_USER_VERSION,
  VHOST_USER_VERSION_MASK,
  VhostUserHeader,
} from './layout.ts';
import { MAX_PAYLOAD } from './protocol/payload.ts';
import { ReceivedFds } from './received-fds.ts';
import { SendQueue } from './send-queue.ts';

const HEADER = VhostUserHeader.byteLength;
const KNOWN_FLAGS = VHOST_USER_VERSION_MASK | VHOST_USER_REPLY_MASK | VHOST_USER_NEED_REPLY_MASK;
/** More than any message may carry, so that a peer that sends too many is told so rather than cut off. */
const RECEIVE_FDS = 32;
/** Messages handled before the loop gets its turn: a flood on one socket starves nobody. */
const MESSAGES_PER_TURN = 32;

/** A message as read. The object and its buffer are the channel's: valid only during `onMessage`. */
export interface IncomingMessage {
  readonly id: number;
  readonly flags: number;
  /** Payload bytes. */
  readonly size: number;
  /** The payload is bytes [0, size); what stands behind it is older. */
  readonly view: DataView;
  /** The same memory as `view`. */
  readonly bytes: Uint8Array;
  readonly fds: ReceivedFds;
}

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

/** The first bytes of a message, and its descriptors, given away. */
export interface ReceivedPart {
  readonly bytes: Uint8Array;
  readonly fds: readonly Fd[];
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
  readonly #buffer = new Uint8Array(HEADER + MAX_PAYLOAD);
  readonly #header = new DataView(this.#buffer.buffer, 0, HEADER);
  readonly #received: RecvResult;
  readonly #message: { -readonly [K in keyof IncomingMessage]: IncomingMessage[K] };
  readonly #out = new Uint8Array(HEADER + MAX_PAYLOAD);
  readonly #outHeader = new DataView(this.#out.buffer, 0, HEADER);
  #have = 0;
  #paused = false;
  #closed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    const { sys, socket, loop } = options;
    this.#received = sys.socket.makeRecvResult(RECEIVE_FDS);
    this.#queue = new SendQueue(sys, socket.fd);
    this.#message = {
      id: 0,
      flags: 0,
      size: 0,
      view: new DataView(this.#buffer.buffer, HEADER),
      bytes: this.#buffer.subarray(HEADER),
      fds: new ReceivedFds(sys.fd),
    };
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
    const received = { bytes: this.#buffer.slice(0, this.#have), fds: this.#message.fds.takeAll() };
    const socket = new Fd(this.#options.sys.fd, this.#options.socket.take());
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    return { socket, received };
  }

  /** Takes what another channel on this socket has read; before anything else is read. @throws RangeError for too much */
  resumeWith({ bytes, fds }: ReceivedPart): void {
    this.#buffer.set(bytes);
    this.#have = bytes.length;
    for (const fd of fds) {
      this.#message.fds.push(fd.take());
    }
  }

  /** Closes the socket and every descriptor at hand, without `onClose`. Harmless a second time. */
  [Symbol.dispose](): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    this.#queue.clear();
    this.#message.fds.closeAll();
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
    for (let left = MESSAGES_PER_TURN; left > 0; left--) {
      if (this.#closed || !this.#mayRead || !this.#readMessage()) {
        return;
      }
    }
  }

  /** A peer that closed may have said why: what it sent last is read before the connection ends. */
  #sendFailed(result: number): void {
    this.#queue.clear();
    this.#readTurn();
    this.#fail(socketError('sendmsg', result));
  }

  /** @returns true when a message was complete and handled */
  #readMessage(): boolean {
    if (!this.#fillTo(HEADER)) {
      return false;
    }
    const message = this.#message;
    message.id = VhostUserHeader.request.get(this.#header, 0);
    message.flags = VhostUserHeader.flags.get(this.#header, 0);
    message.size = VhostUserHeader.size.get(this.#header, 0);
    const refusal = checkHeader(message);
    if (refusal !== null) {
      this.#fail(
        this.#error(refusal, `header ${message.id}, flags 0x${message.flags.toString(16)}, size ${message.size}`),
      );
      return false;
    }
    if (!this.#fillTo(HEADER + message.size)) {
      return false;
    }
    this.#have = 0;
    if (vhostUserChannel.hasSubscribers) {
      publishMessage(this.#options.name, 'in', message.id, message.flags, message.size, message.fds.count);
    }
    try {
      this.#options.onMessage(message);
    } finally {
      message.fds.closeAll();
    }
    return true;
  }

  /** Reads until `want` bytes of the message are there. @returns false when they are not (yet) */
  #fillTo(want: number): boolean {
    while (this.#have < want) {
      const result = this.#receive(want);
      if (result === -EINTR) {
        continue;
      }
      if (result === -EAGAIN) {
        return false;
      }
      // A peer that leaves without reading all of its answers gives ECONNRESET: it left, no more.
      if (result < 0 && result !== -ECONNRESET) {
        this.#fail(socketError('recvmsg', result));
        return false;
      }
      if (result <= 0) {
        this.#fail(this.#have === 0 ? null : this.#error('ERR_VU_EOF', `stream ended after ${this.#have} bytes`));
        return false;
      }
      const first = this.#have === 0;
      this.#have += result;
      if (!this.#fdsAreGood(first)) {
        return false;
      }
    }
    return true;
  }

  #receive(want: number): number {
    const received = this.#received;
    received.fdCount = 0;
    received.truncated = false;
    const room = this.#buffer.subarray(this.#have, want);
    const result = this.#options.sys.socket.recvmsg(this.#options.socket.fd, room, room.length, received);
    for (let index = 0; index < received.fdCount; index++) {
      this.#message.fds.push(received.fds[index]!);
    }
    return result;
  }

  #fdsAreGood(first: boolean): boolean {
    if (this.#received.truncated) {
      this.#fail(this.#error('ERR_VU_FDS_LOST', 'more descriptors than one message may carry, some were lost'));
      return false;
    }
    if (!first && this.#received.fdCount > 0) {
      this.#fail(this.#error('ERR_VU_FDS', 'descriptors came after the first byte of their message'));
      return false;
    }
    return true;
  }

  #error(code: VhostUserErrorCode, detail: string): VhostUserError {
    return new VhostUserError(code, this.#options.peer, detail);
  }

  #fail(error: VhostUserError | null): void {
    if (this.#closed) {
      return;
    }
    this[Symbol.dispose]();
    this.#options.onClose(error);
  }
}

function checkHeader(message: IncomingMessage): VhostUserErrorCode | null {
  if ((message.flags & VHOST_USER_VERSION_MASK) !== VHOST_USER_VERSION) {
    return 'ERR_VU_VERSION';
  }
  if ((message.flags & ~KNOWN_FLAGS) !== 0) {
    return 'ERR_VU_FLAGS';
  }
  return message.size > MAX_PAYLOAD ? 'ERR_VU_TOO_LARGE' : null;
}

function socketError(call: string, result: number): VhostUserError {
  return new VhostUserError('ERR_VU_SOCKET', 'host', `${call}: ${errnoName(-result)}`);
}
