/**
 * The back channel from the back-end's side: requests to the front-end, one at a time. There is no tag on the wire, so an
 * answer belongs to the request that is out.
 */
import { ECANCELED, EIO, type EventLoop, type Fd, type Logger, type Sys } from '@oriel/sys';
import { Channel, type ReleasedChannel } from '../channel.ts';
import { VhostUserError } from '../errors.ts';
import { VHOST_USER_NEED_REPLY_MASK, VHOST_USER_REPLY_FLAGS, VHOST_USER_VERSION, VhostUserU64 } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import type { MessageSpec } from '../protocol/messages.ts';

/** One request to the front-end. */
export interface BackRequest {
  /** Its line of a message table. */
  readonly spec: MessageSpec;
  readonly payload: Uint8Array;
  /** Lent until `done`; -1: none. */
  readonly fd: number;
  /** 0; -EIO refused, or the channel broke; -ECANCELED never sent, or the connection ended. */
  readonly done: (error: number) => void;
  /** What the answer's u64 means for `done`; absent: 0, or -EIO for anything else. */
  readonly result?: (lo: number, hi: number) => number;
  /** Given the descriptor of the answer, before `done`; absent: none may come. */
  readonly onFd?: (fd: Fd) => void;
}

/** What the back channel needs of the connection. */
export interface BackChannelOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
  readonly log: Logger;
  /** Whether something may be sent now. */
  readonly maySend: () => boolean;
  /** NEED_REPLY may be set. */
  readonly replyAck: () => boolean;
  /** An answer came: whatever was answered before it is in effect. Called before the request's own `done`. */
  readonly onAnswer: () => void;
  /** The front-end broke the protocol on this channel. */
  readonly onViolation: (error: VhostUserError) => void;
}

/** Requests on the back channel, in order. */
export class BackChannel implements Disposable {
  readonly #options: BackChannelOptions;
  readonly #waiting: BackRequest[] = [];
  #channel: Channel | null = null;
  #sent: BackRequest | null = null;

  constructor(options: BackChannelOptions) {
    this.#options = options;
  }

  /** True while there is a socket to send on. */
  get open(): boolean {
    return this.#channel !== null;
  }

  /** A new socket, given away; one that was there is closed. @throws SysError when it cannot be watched */
  attach(socket: Fd): void {
    this.#detach('the front-end set a new back channel');
    const { sys, loop } = this.#options;
    this.#channel = new Channel({
      sys,
      loop,
      socket,
      name: 'back',
      peer: 'frontend',
      whileSending: 'read',
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => this.#onClose(error),
    });
  }

  /** Nothing is asked, waits to be asked, or is on its way. */
  get idle(): boolean {
    return this.#sent === null && this.#waiting.length === 0 && (this.#channel === null || this.#channel.flushed);
  }

  /** Lets go of the socket, given away; null where there is none. Only when idle. */
  release(): ReleasedChannel | null {
    const channel = this.#channel;
    this.#channel = null;
    return channel === null ? null : channel.release();
  }

  /** Queues a request; it is sent when its turn comes and sending is allowed. */
  request(request: BackRequest): void {
    this.#waiting.push(request);
    this.pump();
  }

  /** Sends what may be sent. */
  pump(): void {
    while (this.#sent === null && this.#channel !== null && this.#waiting.length > 0 && this.#options.maySend()) {
      this.#send(this.#channel, this.#waiting.shift()!);
    }
  }

  /** Gives up what was not sent: -ECANCELED. A request that is out stays out until its answer. */
  cancelWaiting(): void {
    for (const request of this.#waiting.splice(0)) {
      request.done(-ECANCELED);
    }
  }

  /** Closes the socket. Everything not done gets -ECANCELED. */
  [Symbol.dispose](): void {
    this.#channel?.[Symbol.dispose]();
    this.#channel = null;
    this.#finish(-ECANCELED);
    this.cancelWaiting();
  }

  #send(channel: Channel, request: BackRequest): void {
    const replyAck = this.#options.replyAck();
    channel.send(
      request.spec.id,
      replyAck ? VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK : VHOST_USER_VERSION,
      request.payload,
      request.fd < 0 ? [] : [request.fd],
    );
    if (replyAck || request.spec.reply !== 'ack') {
      this.#sent = request;
    } else {
      request.done(0);
    }
  }

  #onMessage(message: IncomingMessage): void {
    const sent = this.#sent;
    const error =
      sent === null
        ? new VhostUserError('ERR_VU_REPLY', 'frontend', `message ${message.id} on the back channel, nothing was asked`)
        : checkAnswer(message, sent);
    if (error !== null) {
      this.#options.onViolation(error);
      return;
    }
    const [lo, hi] = [VhostUserU64.value.lo(message.view, 0), VhostUserU64.value.hi(message.view, 0)];
    const good = lo === 0 && hi === 0;
    if (!good) {
      this.#options.log.debug('back-channel request refused', { message: sent!.spec.name, lo, hi });
    }
    this.#options.onAnswer();
    if (message.fds.count > 0) {
      sent!.onFd!(message.fds.take(0));
    }
    this.#finish(sent!.result?.(lo, hi) ?? (good ? 0 : -EIO));
    this.pump();
  }

  #finish(error: number): void {
    const sent = this.#sent;
    this.#sent = null;
    sent?.done(error);
  }

  #onClose(error: VhostUserError | null): void {
    this.#channel = null;
    this.#detach(error === null ? 'the front-end closed the back channel' : error.message);
  }

  /** The main channel lives on; requests fail from here on. */
  #detach(reason: string): void {
    const had = this.#channel !== null || this.#sent !== null || this.#waiting.length > 0;
    if (had) {
      this.#options.log.warn('back channel closed', { reason });
    }
    this.#channel?.[Symbol.dispose]();
    this.#channel = null;
    this.#options.onAnswer();
    this.#finish(-EIO);
    for (const request of this.#waiting.splice(0)) {
      request.done(-EIO);
    }
  }
}

/** @returns what is wrong with an answer, or null */
function checkAnswer(message: IncomingMessage, { spec, onFd }: BackRequest): VhostUserError | null {
  const good =
    message.flags === VHOST_USER_REPLY_FLAGS &&
    message.id === spec.id &&
    message.size === VhostUserU64.byteLength &&
    message.fds.count <= (onFd === undefined ? 0 : 1);
  return good
    ? null
    : new VhostUserError(
        'ERR_VU_REPLY',
        'frontend',
        `answer ${message.id}, flags 0x${message.flags.toString(16)}, ${message.size} bytes, ${message.fds.count} descriptors`,
        { message: spec.name },
      );
}
