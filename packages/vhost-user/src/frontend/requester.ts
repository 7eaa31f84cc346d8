/** The main channel from the front-end's side: requests go out in order, and their answers come back in that order. */
import type { EventLoop, Fd, Logger, Sys } from '@oriel/sys';
import { Channel } from '../channel.ts';
import { VhostUserError } from '../errors.ts';
import { VHOST_USER_NEED_REPLY_MASK, VHOST_USER_VERSION } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import { frontendMessageNamed, type MessageSpec } from '../protocol/messages.ts';
import { frameError, type Reply, refusal } from './check-reply.ts';

/** Called once with the error, or with the reply (null where only an ack, or nothing, came). */
export type ReplyHandler = (error: Error | null, reply: Reply | null) => void;

/** What the requester needs of its connection. */
export interface RequesterOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
  readonly socket: Fd;
  readonly log: Logger;
  /** REPLY_ACK was negotiated. */
  readonly replyAck: () => boolean;
  readonly onClose: (error: VhostUserError) => void;
}

interface Pending {
  readonly spec: MessageSpec;
  readonly done: ReplyHandler;
}

/** Sends requests and pairs them with their answers. */
export class Requester implements Disposable {
  readonly #options: RequesterOptions;
  readonly #channel: Channel;
  readonly #pending: Pending[] = [];

  constructor(options: RequesterOptions) {
    this.#options = options;
    this.#channel = new Channel({
      sys: options.sys,
      loop: options.loop,
      socket: options.socket,
      name: 'main',
      peer: 'backend',
      whileSending: 'read',
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => this.#end(error ?? closed('the back-end closed the connection')),
    });
  }

  get closed(): boolean {
    return this.#channel.closed;
  }

  /**
   * Sends one message. Without REPLY_ACK a message that has no reply of its own is done once it is sent.
   * @param fds - lent for the call
   * @throws RangeError for a name outside the table
   */
  request(name: string, payload: Uint8Array, fds: readonly number[], done: ReplyHandler): void {
    const spec = frontendMessageNamed(name);
    if (this.#channel.closed) {
      this.#options.loop.defer(() => done(closed('the connection has ended'), null));
      return;
    }
    const wantsAck = spec.reply === 'ack' && this.#options.replyAck();
    const flags = wantsAck ? VHOST_USER_VERSION | VHOST_USER_NEED_REPLY_MASK : VHOST_USER_VERSION;
    this.#channel.send(spec.id, flags, payload, fds);
    if (wantsAck || spec.reply !== 'ack') {
      this.#pending.push({ spec, done });
    } else {
      this.#options.loop.defer(() => done(null, null));
    }
  }

  /** Closes the socket; what is unanswered ends with ERR_VU_CLOSED. */
  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
    this.#failPending(closed('closed by the front-end'));
  }

  #onMessage(message: IncomingMessage): void {
    const pending = this.#pending.shift();
    if (pending === undefined) {
      this.#violation(new VhostUserError('ERR_VU_REPLY', 'backend', `message ${message.id}, nothing was asked`));
      return;
    }
    const error = frameError(message, pending.spec);
    if (error !== null) {
      pending.done(error, null);
      this.#violation(error);
      return;
    }
    if (pending.spec.reply === 'ack') {
      pending.done(refusal(message.view, pending.spec.name), null);
    } else {
      pending.done(null, { payload: message.bytes.slice(0, message.size), fds: message.fds.takeAll() });
    }
  }

  #violation(error: VhostUserError): void {
    this.#channel[Symbol.dispose]();
    this.#end(error);
  }

  #end(error: VhostUserError): void {
    this.#failPending(error);
    this.#options.onClose(error);
  }

  #failPending(error: VhostUserError): void {
    for (const { done } of this.#pending.splice(0)) {
      done(error, null);
    }
  }
}

function closed(detail: string): VhostUserError {
  return new VhostUserError('ERR_VU_CLOSED', 'backend', detail);
}
