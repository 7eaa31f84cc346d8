/**
 * The main channel from the back-end's side: each message is held against the table, given to the module that serves it,
 * and answered.
 */
import type { EventLoop, Fd, Sys } from '@oriel/sys';
import { Channel } from '../channel.ts';
import { asProtocolError, isProtocolViolation, VhostUserError } from '../errors.ts';
import { VHOST_USER_NEED_REPLY_MASK, VHOST_USER_REPLY_FLAGS, VHOST_USER_REPLY_MASK } from '../layout.ts';
import type { IncomingMessage } from '../message-reader.ts';
import { checkGate, checkShape, type Negotiated } from '../protocol/check.ts';
import { encodeU64 } from '../protocol/encode.ts';
import { type FrontendMessageName, frontendMessage, type MessageSpec } from '../protocol/messages.ts';
import type { RefusalLog } from '../refusal-log.ts';
import { type Answer, PendingAnswer, type RequestHandlers } from './requests.ts';

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

/** What an answer needs of its message, whose buffer is gone when the answer comes later. */
type Question = Pick<IncomingMessage, 'id' | 'flags'>;

/** Serves the main channel of one connection. */
export class MainChannel implements Disposable {
  readonly #options: MainChannelOptions;
  readonly #channel: Channel;
  /** An answer comes later. */
  #waiting = false;

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

  /** No answer is owed or on its way: the socket can be handed over. */
  get idle(): boolean {
    return !this.#waiting && this.#channel.flushed;
  }

  /** See `Channel`. */
  get channel(): Channel {
    return this.#channel;
  }

  /** Closes the socket, without `onEnd`. */
  [Symbol.dispose](): void {
    this.#channel[Symbol.dispose]();
  }

  #onMessage(message: IncomingMessage): void {
    const spec = frontendMessage(message.id);
    try {
      const answer = this.#serve(message, spec);
      if (answer instanceof PendingAnswer) {
        this.#answerLater({ id: message.id, flags: message.flags }, spec, answer);
        return;
      }
      if (answer === null || answer instanceof Uint8Array) {
        this.#answer(message, answer);
      } else {
        using fd = answer.fd;
        this.#channel.send(message.id, VHOST_USER_REPLY_FLAGS, answer.payload, [fd.fd]);
      }
    } catch (error) {
      this.#refuse(message, spec, error);
    }
    this.#options.onAnswered();
  }

  #answerLater(question: Question, spec: MessageSpec | undefined, answer: PendingAnswer): void {
    this.#waiting = true;
    this.#channel.pause();
    answer.whenSettled((outcome) => {
      this.#waiting = false;
      if ('error' in outcome) {
        this.#refuse(question, spec, outcome.error);
      } else {
        this.#answer(question, outcome.payload);
      }
      this.#channel.resume();
      this.#options.onAnswered();
    });
  }

  #answer(question: Question, payload: Uint8Array | null): void {
    if (payload !== null) {
      this.#channel.send(question.id, VHOST_USER_REPLY_FLAGS, payload);
    } else if (this.#wantsAck(question)) {
      this.#channel.send(question.id, VHOST_USER_REPLY_FLAGS, encodeU64(ACK));
    }
  }

  #serve(message: IncomingMessage, spec: MessageSpec<FrontendMessageName> | undefined): Answer {
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

  /** A refusal is told where there is a way to tell it; else the connection ends. */
  #refuse(question: Question, spec: MessageSpec | undefined, cause: unknown): void {
    const error = asProtocolError(cause, spec === undefined ? {} : { message: spec.name });
    const refusal = this.#refusalOf(question, spec);
    const ends = refusal === null || isProtocolViolation(error);
    this.#options.refusals.refused(error, { request: question.id, connectionEnds: ends });
    if (refusal !== null) {
      this.#channel.send(question.id, VHOST_USER_REPLY_FLAGS, refusal);
    }
    if (ends) {
      this.#options.onEnd(error.message);
    }
  }

  /** The payload that says no: of the message's own reply where it can, of the ack where one is wanted. */
  #refusalOf(question: Question, spec: MessageSpec | undefined): Uint8Array | null {
    const wantsAck = this.#wantsAck(question);
    if (spec === undefined || spec.reply === 'ack') {
      return wantsAck ? encodeU64(REFUSED) : null;
    }
    const { refusal } = spec.reply;
    return refusal === null || (refusal.onlyIfAsked && !wantsAck) ? null : refusal.payload;
  }

  #wantsAck(question: Question): boolean {
    return (question.flags & VHOST_USER_NEED_REPLY_MASK) !== 0 && this.#options.replyAck();
  }
}
