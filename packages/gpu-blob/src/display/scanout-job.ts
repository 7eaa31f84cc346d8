/** What a scanout shows, told to the front-end. */
import type { Fd } from '@oriel/sys';
import type { ChannelJob } from './channel-job.ts';
import {
  GpuMsgDmaBufScanout,
  GpuMsgDmaBufScanout2,
  GpuMsgScanout,
  putHeader,
  VHOST_USER_GPU_DMABUF_SCANOUT,
  VHOST_USER_GPU_DMABUF_SCANOUT2,
  VHOST_USER_GPU_SCANOUT,
  VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP,
} from './channel-messages.ts';
import type { MessageWriter } from './message-writer.ts';
import type { Box, DmaBufFrame } from './sink.ts';

/** Pixels sent by UPDATE; 0 x 0: nothing is shown. */
export interface PixelScanout {
  readonly width: number;
  readonly height: number;
  readonly dmaBuf: null;
}

/** Part of a dma-buf. */
export interface DmaBufScanout {
  readonly width: number;
  readonly height: number;
  readonly dmaBuf: {
    readonly part: Box;
    readonly frame: DmaBufFrame;
    /** Send the format modifier too. */
    readonly withModifier: boolean;
  };
}

export type ScanoutState = PixelScanout | DmaBufScanout;

/** Sends the latest state of a scanout: a state that nobody saw is replaced, so that a guest cannot fill the queue. */
export class ScanoutJob implements ChannelJob {
  readonly scanout: number;
  readonly waits = false;
  readonly #hadDmaBuf: boolean;
  #state: ScanoutState;
  #fd: Fd | null;
  #releases = false;
  #sent = false;

  /**
   * @param hadDmaBuf - what the scanout shows before is a dma-buf
   * @param fd - of a dma-buf, given away
   */
  constructor(scanout: number, hadDmaBuf: boolean, state: ScanoutState, fd: Fd | null) {
    this.scanout = scanout;
    this.#hadDmaBuf = hadDmaBuf;
    this.#state = state;
    this.#fd = fd;
  }

  /** Some of it is on its way: it cannot be replaced any more. */
  get begun(): boolean {
    return this.#sent || this.#releases;
  }

  get complete(): boolean {
    return this.#sent;
  }

  /** Shows something else instead. Only while not begun. @param fd - given away */
  replace(state: ScanoutState, fd: Fd | null): void {
    this.#fd?.close();
    this.#state = state;
    this.#fd = fd;
  }

  compose(writer: MessageWriter): void {
    const state = this.#state;
    if (state.dmaBuf !== null) {
      this.#composeDmaBuf(writer, state);
    } else if (this.#hadDmaBuf && !this.#releases) {
      this.#releases = true;
      composeRelease(writer, this.scanout);
      return;
    } else {
      composePixels(writer, this.scanout, state);
    }
    this.#sent = true;
  }

  finish(): void {}

  abandon(): void {
    this.#fd?.close();
    this.#fd = null;
  }

  #composeDmaBuf(writer: MessageWriter, state: DmaBufScanout): void {
    const { part, frame, withModifier } = state.dmaBuf;
    const layout = withModifier ? GpuMsgDmaBufScanout2 : GpuMsgDmaBufScanout;
    const { view } = writer;
    putHeader(
      view,
      0,
      withModifier ? VHOST_USER_GPU_DMABUF_SCANOUT2 : VHOST_USER_GPU_DMABUF_SCANOUT,
      layout.byteLength,
    );
    layout.scanoutId.set(view, 0, this.scanout);
    layout.x.set(view, 0, part.x);
    layout.y.set(view, 0, part.y);
    layout.width.set(view, 0, part.width);
    layout.height.set(view, 0, part.height);
    layout.fdWidth.set(view, 0, frame.width);
    layout.fdHeight.set(view, 0, frame.height);
    layout.fdStride.set(view, 0, frame.stride);
    layout.fdFlags.set(view, 0, frame.bottomUp ? VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP : 0);
    layout.fdDrmFourcc.set(view, 0, frame.fourcc);
    if (withModifier) {
      GpuMsgDmaBufScanout2.modifier.setParts(view, 0, frame.modifierLo, frame.modifierHi);
    }
    const fd = this.#fd;
    this.#fd = null;
    writer.start(layout.byteLength, fd);
  }
}

function composePixels(writer: MessageWriter, scanout: number, state: PixelScanout): void {
  const { view } = writer;
  putHeader(view, 0, VHOST_USER_GPU_SCANOUT, GpuMsgScanout.byteLength);
  GpuMsgScanout.scanoutId.set(view, 0, scanout);
  GpuMsgScanout.width.set(view, 0, state.width);
  GpuMsgScanout.height.set(view, 0, state.height);
  writer.start(GpuMsgScanout.byteLength);
}

/** Without a descriptor the front-end lets go of the dma-buf; SCANOUT alone would not make it. */
function composeRelease(writer: MessageWriter, scanout: number): void {
  const { bytes, view } = writer;
  bytes.fill(0, 0, GpuMsgDmaBufScanout.byteLength);
  putHeader(view, 0, VHOST_USER_GPU_DMABUF_SCANOUT, GpuMsgDmaBufScanout.byteLength);
  GpuMsgDmaBufScanout.scanoutId.set(view, 0, scanout);
  writer.start(GpuMsgDmaBufScanout.byteLength);
}
