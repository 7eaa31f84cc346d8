/**
 * The main channel from the back-end's side: each message is held against the table, given to the module that serves it,
 * and answered.
 */
import type { EventLoop, Fd, Sys } from '@oriel/sys';
import { Channel, type IncomingMessage } from '../channel.ts';
import { asProtocolError, isProtocolViolation, VhostUserError } from '../errors.ts';
import { VHOST_USER_NEED_REPLY_MASK, VHOST_USER_REPLY_FLAGS, VHOST_USER_REPLY_MASK } from '../layout.ts';
import { checkGate, checkShape, type Negotiated } from '../protocol/check.ts';
import { encodeU64 } from '../protocol/encode.ts';
import { type FrontendMessageName, frontendMessage, type MessageSpec } from '../protocol/messages.ts';
import type { RefusalLog } from '../refusal-log.ts';
import type { RequestHandlers } from './requests.ts';

/** What the main channel needs of the connection. */
export interface MainChannelOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
  /** Connected socket, given away. */
  readonly socket: Fd;
  readonly handlers: RequestHandlers;
  readonly negotiated: Negotiated;
  /** REPLY_ACK is in force. */
  readonly replyAck: () => boolean;
  readonly refusals: RefusalLog;
  /** A message was answered. */
  readonly onAnswered: () => void;
  /** The front-end left, or broke the protocol, or would not have heard of a refusal. */
  readonly onEnd: (reason: string) => void;
}

const ACK = 0;
/** What a refused message is answered with: the reason stays in the log. */
const REFUSED = 1;

/** Serves the main channel of one connection. */
export class MainChannel implements Disposable {
  readonly #options: MainChannelOptions;
  readonly #channel: Channel;

  /** @throws SysError when the socket cannot be watched; it is closed then */
  constructor(options: MainChannelOptions) {
    this.#options = options;
    this.#channel = new Channel({
      sys: options.sys,
      loop: options.loop,
      socket: options.socket,
      name: 'main',
      peer: 'frontend',
      whileSending: 'pause',
      onMessage: (message) => this.#onMessage(message),
      onClose: (error) => options.onEnd(error === null ? 'the front-end closed the connection' : error.message),
    });
  }

  /** Closes the socket, without `onEnd`. */
  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }

  #onMessage(message: IncomingMessage): void {
    const spec = frontendMessage(message.id);
    try {
      const reply = this.#serve(message, spec);
      if (reply !== null) {
        this.#channel.send(message.id, VHOST_USER_REPLY_FLAGS, reply);
      } else if (this.#wantsAck(message)) {
        this.#channel.send(message.id, VHOST_USER_REPLY_FLAGS, encodeU64(ACK));
      }
    } catch (error) {
      this.#refuse(message, spec, asProtocolError(error, spec === undefined ? {} : { message: spec.name }));
    }
    this.#options.onAnswered();
  }

  /** @returns the payload of the message's own reply, or null */
  #serve(message: IncomingMessage, spec: MessageSpec<FrontendMessageName> | undefined): Uint8Array | null {
    if ((message.flags & VHOST_USER_REPLY_MASK) !== 0) {
      throw new VhostUserError('ERR_VU_FLAGS', 'frontend', `message ${message.id} is a reply; nothing was asked`);
    }
    if (spec === undefined) {
      throw new VhostUserError('ERR_VU_UNKNOWN', 'frontend', `message ${message.id} is not in the table`);
    }
    checkShape(spec, message.view, message.size, message.fds.count, 'frontend');
    checkGate(spec, this.#options.negotiated, 'frontend');
    const handler = this.#options.handlers[spec.name];
    if (handler === undefined) {
      throw new VhostUserError('ERR_VU_UNSUPPORTED', 'frontend', 'not served', { message: spec.name });
    }
    return handler(message);
  }

  /** A refusal is told where there is a way to tell it; a message that wanted no ack has none, so the connection ends. */
  #refuse(message: IncomingMessage, spec: MessageSpec | undefined, error: VhostUserError): void {
    const hasAck = spec === undefined || spec.reply === 'ack';
    const told = hasAck && this.#wantsAck(message);
    const ends = !told || isProtocolViolation(error);
    this.#options.refusals.refused(error, { request: message.id, connectionEnds: ends });
    if (told) {
      this.#channel.send(message.id, VHOST_USER_REPLY_FLAGS, encodeU64(REFUSED));
    }
    if (ends) {
      this.#options.onEnd(error.message);
    }
  }

  #wantsAck(message: IncomingMessage): boolean {
    return (message.flags & VHOST_USER_NEED_REPLY_MASK) !== 0 && this.#options.replyAck();
  }
}
