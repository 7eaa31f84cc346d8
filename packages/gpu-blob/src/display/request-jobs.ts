/** Requests that the front-end answers. */
import type { ChannelJob } from './channel-job.ts';
import {
  GpuMsgEdidRequest,
  GpuMsgHeader,
  GpuMsgUpdate,
  putHeader,
  VHOST_USER_GPU_DMABUF_UPDATE,
  VHOST_USER_GPU_GET_DISPLAY_INFO,
  VHOST_USER_GPU_GET_EDID,
  VHOST_USER_GPU_GET_PROTOCOL_FEATURES,
} from './channel-messages.ts';
import type { MessageWriter } from './message-writer.ts';
import type { EdidDone, OutputsDone, PendingReplies } from './pending-replies.ts';
import type { Box } from './sink.ts';

/** GET_DISPLAY_INFO. */
export class OutputsJob implements ChannelJob {
  readonly scanout = -1;
  readonly waits = false;
  readonly #pending: PendingReplies;
  readonly #done: OutputsDone;
  #sent = false;

  constructor(pending: PendingReplies, done: OutputsDone) {
    this.#pending = pending;
    this.#done = done;
  }

  get complete(): boolean {
    return this.#sent;
  }

  compose(writer: MessageWriter): void {
    putHeader(writer.view, 0, VHOST_USER_GPU_GET_DISPLAY_INFO, GpuMsgHeader.byteLength);
    writer.start(GpuMsgHeader.byteLength);
    this.#pending.addOutputs(this.#done);
    this.#sent = true;
  }

  finish(): void {}

  abandon(): void {
    if (!this.#sent) {
      this.#done(null);
    }
  }
}

/** GET_EDID, with GET_PROTOCOL_FEATURES as the mark behind it (see `PendingReplies`). */
export class EdidJob implements ChannelJob {
  readonly scanout: number;
  readonly waits = false;
  readonly #pending: PendingReplies;
  readonly #isOffered: () => boolean;
  readonly #done: EdidDone;
  #complete = false;

  /** @param isOffered - asked when the turn of the job comes: the front-end knows GET_EDID */
  constructor(scanout: number, pending: PendingReplies, isOffered: () => boolean, done: EdidDone) {
    this.scanout = scanout;
    this.#pending = pending;
    this.#isOffered = isOffered;
    this.#done = done;
  }

  get complete(): boolean {
    return this.#complete;
  }

  compose(writer: MessageWriter): void {
    this.#complete = true;
    if (!this.#isOffered()) {
      this.#done(null);
      return;
    }
    const { view } = writer;
    putHeader(view, 0, VHOST_USER_GPU_GET_EDID, GpuMsgEdidRequest.byteLength);
    GpuMsgEdidRequest.scanoutId.set(view, 0, this.scanout);
    const mark = GpuMsgEdidRequest.byteLength;
    putHeader(view, mark, VHOST_USER_GPU_GET_PROTOCOL_FEATURES, GpuMsgHeader.byteLength);
    writer.start(mark + GpuMsgHeader.byteLength);
    this.#pending.addEdid(this.#done);
  }

  finish(): void {}

  abandon(): void {
    if (!this.#complete) {
      this.#done(null);
    }
  }
}

/** DMABUF_UPDATE: one at a time, since QEMU remembers only whether an answer is due, not how many. */
export class FrameJob implements ChannelJob {
  readonly scanout: number;
  readonly #part: Box;
  readonly #pending: PendingReplies;
  readonly #done: () => void;
  #sent = false;

  constructor(scanout: number, part: Box, pending: PendingReplies, done: () => void) {
    this.scanout = scanout;
    this.#part = part;
    this.#pending = pending;
    this.#done = done;
  }

  get waits(): boolean {
    return this.#pending.awaitsFrame && !this.#sent;
  }

  get complete(): boolean {
    return this.#sent;
  }

  compose(writer: MessageWriter): void {
    const { view } = writer;
    putHeader(view, 0, VHOST_USER_GPU_DMABUF_UPDATE, GpuMsgUpdate.byteLength);
    GpuMsgUpdate.scanoutId.set(view, 0, this.scanout);
    GpuMsgUpdate.x.set(view, 0, this.#part.x);
    GpuMsgUpdate.y.set(view, 0, this.#part.y);
    GpuMsgUpdate.width.set(view, 0, this.#part.width);
    GpuMsgUpdate.height.set(view, 0, this.#part.height);
    writer.start(GpuMsgUpdate.byteLength);
    this.#pending.addFrame(this.#done);
    this.#sent = true;
  }

  finish(): void {}

  abandon(): void {
    if (!this.#sent) {
      this.#done();
    }
  }
}
