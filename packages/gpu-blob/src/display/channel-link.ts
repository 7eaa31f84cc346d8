/** The stream to the front-end: agrees on the features, sends one job after the other, and takes the answers. */
import { EPOLLIN, EPOLLOUT, type EventLoop, errnoName, type Fd, type Sys, type Watch } from '@oriel/sys';
import { GpuError } from '../errors.ts';
import { readEdid, readOutputs } from './channel-answers.ts';
import type { ChannelJob } from './channel-job.ts';
import {
  GpuMsgHeader,
  GpuMsgU64,
  putHeader,
  VHOST_USER_GPU_DMABUF_UPDATE,
  VHOST_USER_GPU_GET_DISPLAY_INFO,
  VHOST_USER_GPU_GET_EDID,
  VHOST_USER_GPU_GET_PROTOCOL_FEATURES,
  VHOST_USER_GPU_PROTOCOL_F_DMABUF2,
  VHOST_USER_GPU_PROTOCOL_F_EDID,
  VHOST_USER_GPU_SET_PROTOCOL_FEATURES,
} from './channel-messages.ts';
import { CursorSlots } from './cursor-slots.ts';
import { MessageWriter } from './message-writer.ts';
import { PendingReplies } from './pending-replies.ts';
import { ReplyReader } from './reply-reader.ts';

/** What a link is made of. */
export interface ChannelLinkOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
  /** Connected stream socket (VHOST_USER_GPU_SET_SOCKET), given away, also when the constructor throws. */
  readonly socket: Fd;
  /** The front-end ended the channel or broke the protocol; the channel is disposed already. Called from the loop, once. */
  readonly onClosed: (reason: GpuError) => void;
  /** The features are agreed on. */
  readonly onReady?: () => void;
}

/** What we use of the front-end's features. */
const WANTED_FEATURES = (1 << VHOST_USER_GPU_PROTOCOL_F_EDID) | (1 << VHOST_USER_GPU_PROTOCOL_F_DMABUF2);
/** Bytes sent, and answers read, before the loop gets its turn. */
const BYTES_PER_TURN = 4 << 20;
const ANSWERS_PER_TURN = 32;

/** Everything waits until the features are agreed on; nothing blocks. */
export class ChannelLink implements Disposable {
  /** What the front-end owes an answer to. */
  readonly pending = new PendingReplies();
  /** Sent before any job; `pump` follows a change. */
  readonly cursors = new CursorSlots();
  readonly #options: ChannelLinkOptions;
  readonly #watch: Watch;
  readonly #writer: MessageWriter;
  readonly #reader: ReplyReader;
  readonly #jobs: ChannelJob[] = [];
  #phase: 'ask' | 'asked' | 'answer' | 'ready' = 'ask';
  #features = 0;
  #events = EPOLLIN;
  #pumping = false;
  #broken = false;
  #closed = false;

  /** Asks for the features. @throws SysError when the loop cannot watch the socket */
  constructor(options: ChannelLinkOptions) {
    this.#options = options;
    const { sys, socket, loop } = options;
    try {
      this.#reader = new ReplyReader(sys, socket.fd);
      this.#writer = new MessageWriter(sys, socket.fd);
      this.#watch = loop.watch(socket.fd, EPOLLIN, (events) => this.#onEvents(events));
    } catch (error) {
      socket.close();
      throw error;
    }
    this.pump();
  }

  /** True once disposed, by the owner or by the end of the stream. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Jobs that have not ended, in their order. */
  get jobs(): readonly ChannelJob[] {
    return this.#jobs;
  }

  /** Whether a feature was agreed on, VHOST_USER_GPU_PROTOCOL_F_*. */
  has(feature: number): boolean {
    return (this.#features & (1 << feature)) !== 0;
  }

  add(job: ChannelJob): void {
    this.#jobs.push(job);
    this.pump();
  }

  /** Abandons the jobs that are not to stay; of one under way the front-end gets the message that has begun. */
  settle(stays: (job: ChannelJob) => boolean): void {
    this.#writer.keepBody();
    const before = this.#jobs.splice(0);
    this.#jobs.push(...before.filter(stays));
    for (const job of before) {
      if (!stays(job)) {
        job.abandon();
      }
    }
    this.pump();
  }

  /** Closes the socket; every callback that is still owed is called. Harmless a second time. */
  [Symbol.dispose](): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#watch[Symbol.dispose]();
    this.#writer[Symbol.dispose]();
    this.#options.socket.close();
    for (const job of this.#jobs.splice(0)) {
      job.abandon();
    }
    this.pending.abandon();
  }

  /** Sends as much as goes. Callbacks that call back in only add to the queue. */
  pump(): void {
    if (this.#pumping || this.#closed || this.#broken) {
      return;
    }
    this.#pumping = true;
    try {
      const isMore = this.#sendTurn();
      if (!this.#closed) {
        this.#waitFor(isMore ? EPOLLIN | EPOLLOUT : EPOLLIN);
      }
    } finally {
      this.#pumping = false;
    }
  }

  /** @returns true when the socket's readiness is what the rest waits for */
  #sendTurn(): boolean {
    for (let left = BYTES_PER_TURN; this.#writer.busy || this.#composeNext(); ) {
      if (left <= 0) {
        return true;
      }
      const result = this.#writer.flush(left);
      if (result < 0) {
        this.#sendFailed(result);
        return false;
      }
      if (this.#writer.busy) {
        return true;
      }
      left -= result;
    }
    return false;
  }

  /** @returns false when there is nothing to send, or it must not be sent yet */
  #composeNext(): boolean {
    const writer = this.#writer;
    this.#endJobs();
    if (this.#closed) {
      return false;
    }
    if (this.#phase !== 'ready') {
      return this.#composeHandshake();
    }
    if (this.cursors.compose(writer)) {
      return true;
    }
    for (let job = this.#jobs[0]; job !== undefined && !job.waits; job = this.#jobs[0]) {
      job.compose(writer);
      if (writer.busy) {
        return true;
      }
      this.#endJobs();
    }
    return false;
  }

  /** Ends the jobs whose last message has gone. */
  #endJobs(): void {
    if (this.#writer.takeBodyLost()) {
      this.#jobs[0]?.lost?.();
    }
    while (this.#jobs[0]?.complete) {
      this.#jobs.shift()!.finish();
    }
  }

  #composeHandshake(): boolean {
    const { view } = this.#writer;
    switch (this.#phase) {
      case 'ask':
        putHeader(view, 0, VHOST_USER_GPU_GET_PROTOCOL_FEATURES, GpuMsgHeader.byteLength);
        this.#writer.start(GpuMsgHeader.byteLength);
        this.#phase = 'asked';
        return true;
      case 'answer':
        putHeader(view, 0, VHOST_USER_GPU_SET_PROTOCOL_FEATURES, GpuMsgU64.byteLength);
        GpuMsgU64.u64.set(view, 0, this.#features);
        this.#writer.start(GpuMsgU64.byteLength);
        this.#phase = 'ready';
        return true;
      default:
        return false;
    }
  }

  #waitFor(events: number): void {
    if (events !== this.#events) {
      this.#events = events;
      this.#watch.modify(events);
    }
  }

  #onEvents(events: number): void {
    // Errors and hang-up come unasked; reading tells what they are.
    if ((events & ~EPOLLOUT) !== 0) {
      this.#readTurn();
    }
    this.pump();
  }

  #readTurn(): void {
    for (let left = ANSWERS_PER_TURN; left > 0 && !this.#closed; left--) {
      const request = this.#reader.read();
      if (this.#reader.problem !== null) {
        this.#fail(this.#reader.problem);
        return;
      }
      if (request === 0) {
        return;
      }
      if (!this.#onAnswer(request)) {
        this.#fail(`an answer to request ${request}, which was not asked`);
        return;
      }
    }
  }

  /** @returns false when nobody asked for it */
  #onAnswer(request: number): boolean {
    const { payload, payloadBytes } = this.#reader;
    switch (request) {
      case VHOST_USER_GPU_GET_PROTOCOL_FEATURES:
        return this.#phase === 'asked' ? this.#onFeatures(payload.getUint32(0, true)) : this.pending.gotMark();
      case VHOST_USER_GPU_GET_DISPLAY_INFO:
        return this.pending.gotOutputs(readOutputs(payload));
      case VHOST_USER_GPU_GET_EDID:
        return this.pending.gotEdid(readEdid(payload, payloadBytes));
      case VHOST_USER_GPU_DMABUF_UPDATE:
        return this.pending.gotFrame();
      default:
        return false;
    }
  }

  #onFeatures(offered: number): true {
    this.#features = offered & WANTED_FEATURES;
    this.#phase = 'answer';
    this.pump();
    this.#options.onReady?.();
    return true;
  }

  /** The caller may be in the middle of anything: the end of the channel is told from the loop. */
  #sendFailed(result: number): void {
    this.#broken = true;
    this.#options.loop.defer(() => {
      this.#readTurn();
      this.#fail(`sendmsg: ${errnoName(-result)}`);
    });
  }

  #fail(detail: string): void {
    if (this.#closed) {
      return;
    }
    this[Symbol.dispose]();
    this.#options.onClosed(new GpuError('ERR_GPU_DISPLAY', detail));
  }
}
