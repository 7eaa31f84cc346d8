/**
 * The standard display channel: the front-end (QEMU's vhost-user-gpu and vhost-user-vga) shows what the device draws. We
 * are the client of the protocol; see `channel-messages.ts` for its layouts.
 */
import { EPOLLIN, EPOLLOUT, type EventLoop, errnoName, Fd, type Logger, type Sys, type Watch } from '@oriel/sys';
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
import { MAX_OUTPUT_PIXELS } from './outputs.ts';
import { type EdidDone, type OutputsDone, PendingReplies } from './pending-replies.ts';
import { ReplyReader } from './reply-reader.ts';
import { EdidJob, FrameJob, OutputsJob } from './request-jobs.ts';
import { ScanoutJob, type ScanoutState } from './scanout-job.ts';
import type { Box, DisplaySink, DmaBufFrame, PixelSource } from './sink.ts';
import { UpdateJob } from './update-job.ts';

export interface DisplayChannelOptions {
  readonly sys: Pick<Sys, 'fd' | 'socket'>;
  readonly loop: EventLoop;
  /** Connected stream socket (VHOST_USER_GPU_SET_SOCKET), given away, also when the constructor throws. */
  readonly socket: Fd;
  readonly log: Logger;
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
/** DRM_FORMAT_MOD_INVALID: the driver that imports the buffer knows. */
const MOD_INVALID_HI = 0x00ffffff;
const MOD_INVALID_LO = 0xffffffff;

/** The front-end's display. Everything waits until the features are agreed on; nothing blocks. */
export class DisplayChannel implements DisplaySink {
  readonly name = 'channel';
  readonly #options: DisplayChannelOptions;
  readonly #watch: Watch;
  readonly #writer: MessageWriter;
  readonly #reader: ReplyReader;
  readonly #pending = new PendingReplies();
  readonly #cursors = new CursorSlots();
  readonly #jobs: ChannelJob[] = [];
  /** What each scanout shows once the jobs are done; undefined: never told. */
  readonly #shown: (ScanoutState | undefined)[] = [];
  readonly #warned = new Set<string>();
  #phase: 'ask' | 'asked' | 'answer' | 'ready' = 'ask';
  #features = 0;
  #events = EPOLLIN;
  #pumping = false;
  #broken = false;
  #closed = false;

  /** Asks for the features. @throws SysError when the loop cannot watch the socket */
  constructor(options: DisplayChannelOptions) {
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
    this.#pump();
  }

  /** True once disposed, by the owner or by the end of the stream. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Asks the front-end. @param done - gets null when the channel ends */
  queryOutputs(done: OutputsDone): void {
    if (this.#closed) {
      done(null);
      return;
    }
    this.#add(new OutputsJob(this.#pending, done));
  }

  /** Asks the front-end. @param done - gets null when it has no EDID for the scanout, or the channel ends */
  queryEdid(scanout: number, done: EdidDone): void {
    if (this.#closed) {
      done(null);
      return;
    }
    const isOffered = (): boolean => (this.#features & (1 << VHOST_USER_GPU_PROTOCOL_F_EDID)) !== 0;
    this.#add(new EdidJob(scanout, this.#pending, isOffered, done));
  }

  /** Nothing is sent where nothing changes: the front-end would begin with a black picture. */
  setScanout(scanout: number, width: number, height: number): void {
    const shown = this.#shown[scanout];
    if (this.#closed || (shown?.dmaBuf === null && shown.width === width && shown.height === height)) {
      return;
    }
    this.#show(scanout, { width, height, dmaBuf: null }, null);
  }

  /** `done` comes when the socket has taken the last byte, so at once while the front-end reads fast enough. */
  update(scanout: number, x: number, y: number, source: PixelSource, done: () => void): void {
    if (this.#closed || source.width === 0 || source.height === 0) {
      done();
      return;
    }
    const shown = this.#shown[scanout];
    // The front-end copies to a picture of the scanout's size, which it does not have while the scanout is off.
    if (shown === undefined || shown.dmaBuf !== null || !fits(x, y, source, shown)) {
      this.#warnOnce('update outside of its scanout', { scanout, x, y, width: source.width, height: source.height });
      done();
      return;
    }
    const onLost = (why: string): void => this.#warnOnce('the memory of a framebuffer is gone', { scanout, why });
    this.#add(new UpdateJob(scanout, x, y, source, done, onLost));
  }

  updateCursor(scanout: number, x: number, y: number, hotX: number, hotY: number, image: Uint8Array): void {
    this.#cursors.update(scanout, x, y, hotX, hotY, image);
    this.#pump();
  }

  moveCursor(scanout: number, x: number, y: number): void {
    this.#cursors.move(scanout, x, y);
    this.#pump();
  }

  hideCursor(scanout: number, x: number, y: number): void {
    this.#cursors.hide(scanout, x, y);
    this.#pump();
  }

  /** @returns false when the front-end cannot be told the buffer's modifier, or no descriptor is left */
  setScanoutDmaBuf(scanout: number, part: Box, frame: DmaBufFrame): boolean {
    const withModifier = (this.#features & (1 << VHOST_USER_GPU_PROTOCOL_F_DMABUF2)) !== 0;
    if (this.#closed || !(withModifier || isPlain(frame))) {
      return false;
    }
    const copy = this.#options.sys.fd.dup(frame.fd);
    if (copy < 0) {
      this.#warnOnce('a dma-buf is not shown', { scanout, why: errnoName(-copy) });
      return false;
    }
    const dmaBuf = { part: { ...part }, frame: { ...frame }, withModifier };
    this.#show(scanout, { width: part.width, height: part.height, dmaBuf }, new Fd(this.#options.sys.fd, copy));
    return true;
  }

  /** `done` comes with the front-end's answer; the buffer is not to be drawn to before. */
  updateDmaBuf(scanout: number, part: Box, done: () => void): void {
    if (this.#closed || !this.#shown[scanout]?.dmaBuf) {
      done();
      return;
    }
    this.#add(new FrameJob(scanout, { ...part }, this.#pending, done));
  }

  /**
   * Lets go of every source of pixels, at a reset: calls the callbacks of updates, and of queries that were not sent. The
   * channel goes on; of an update under way the front-end gets the message that has begun.
   */
  settle(): void {
    if (this.#closed) {
      return;
    }
    this.#writer.keepBody();
    const dropped = this.#jobs.splice(0);
    for (const job of dropped) {
      if (job instanceof ScanoutJob) {
        this.#jobs.push(job);
      }
    }
    for (const job of dropped) {
      if (!(job instanceof ScanoutJob)) {
        job.abandon();
      }
    }
    this.#pump();
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
    this.#pending.abandon();
  }

  #show(scanout: number, state: ScanoutState, fd: Fd | null): void {
    const before = this.#shown[scanout];
    this.#shown[scanout] = state;
    const unseen = this.#unseenScanout(scanout);
    if (unseen === null) {
      this.#add(new ScanoutJob(scanout, before !== undefined && before.dmaBuf !== null, state, fd));
    } else {
      unseen.replace(state, fd);
    }
  }

  /** The scanout's last state, if it has not begun and nothing was drawn to it since. */
  #unseenScanout(scanout: number): ScanoutJob | null {
    const last = this.#jobs.findLast((job) => job.scanout === scanout && !(job instanceof EdidJob));
    return last instanceof ScanoutJob && !last.begun ? last : null;
  }

  #add(job: ChannelJob): void {
    this.#jobs.push(job);
    this.#pump();
  }

  /** Sends as much as goes. Callbacks that call back in only add to the queue. */
  #pump(): void {
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
    if (this.#cursors.compose(writer)) {
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
    this.#pump();
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
        return this.#phase === 'asked' ? this.#onFeatures(payload.getUint32(0, true)) : this.#pending.gotMark();
      case VHOST_USER_GPU_GET_DISPLAY_INFO:
        return this.#pending.gotOutputs(readOutputs(payload));
      case VHOST_USER_GPU_GET_EDID:
        return this.#pending.gotEdid(readEdid(payload, payloadBytes));
      case VHOST_USER_GPU_DMABUF_UPDATE:
        return this.#pending.gotFrame();
      default:
        return false;
    }
  }

  #onFeatures(offered: number): true {
    this.#features = offered & WANTED_FEATURES;
    this.#phase = 'answer';
    this.#pump();
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

  /** A guest can cause these at will: each is said once. */
  #warnOnce(message: string, fields: Record<string, unknown>): void {
    if (!this.#warned.has(message)) {
      this.#warned.add(message);
      this.#options.log.warn(message, fields);
    }
  }
}

function fits(x: number, y: number, source: PixelSource, shown: ScanoutState): boolean {
  return x + source.width <= shown.width && y + source.height <= shown.height && source.width <= MAX_OUTPUT_PIXELS;
}

/** Linear, or known to the importing driver: needs no modifier. */
function isPlain(frame: DmaBufFrame): boolean {
  const { modifierLo, modifierHi } = frame;
  return (modifierLo === 0 && modifierHi === 0) || (modifierLo === MOD_INVALID_LO && modifierHi === MOD_INVALID_HI);
}
