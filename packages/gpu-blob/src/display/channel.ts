/**
 * The standard display channel: the front-end (QEMU's vhost-user-gpu and vhost-user-vga) shows what the device draws. We
 * are the client of the protocol; see `channel-messages.ts` for its layouts.
 */
import { errnoName, Fd, type Logger } from '@oriel/sys';
import { ChannelLink, type ChannelLinkOptions } from './channel-link.ts';
import { VHOST_USER_GPU_PROTOCOL_F_DMABUF2, VHOST_USER_GPU_PROTOCOL_F_EDID } from './channel-messages.ts';
import { MAX_OUTPUT_PIXELS } from './outputs.ts';
import type { EdidDone, OutputsDone } from './pending-replies.ts';
import { EdidJob, FrameJob, OutputsJob } from './request-jobs.ts';
import { ScanoutJob, type ScanoutState } from './scanout-job.ts';
import type { Box, DisplaySink, DmaBufFrame, PixelSource } from './sink.ts';
import { UpdateJob } from './update-job.ts';

export interface DisplayChannelOptions extends ChannelLinkOptions {
  readonly log: Logger;
}

/** DRM_FORMAT_MOD_INVALID: the driver that imports the buffer knows. */
const MOD_INVALID_HI = 0x00ffffff;
const MOD_INVALID_LO = 0xffffffff;

/** The front-end's display. Everything waits until the features are agreed on; nothing blocks. */
export class DisplayChannel implements DisplaySink {
  readonly name = 'channel';
  readonly #options: DisplayChannelOptions;
  readonly #link: ChannelLink;
  /** What each scanout shows once the jobs are done; undefined: never told. */
  readonly #shown: (ScanoutState | undefined)[] = [];
  readonly #warned = new Set<string>();

  /** Asks for the features. @throws SysError when the loop cannot watch the socket */
  constructor(options: DisplayChannelOptions) {
    this.#options = options;
    this.#link = new ChannelLink(options);
  }

  /** True once disposed, by the owner or by the end of the stream. */
  get closed(): boolean {
    return this.#link.closed;
  }

  /** Asks the front-end. @param done - gets null when the channel ends */
  queryOutputs(done: OutputsDone): void {
    if (this.#link.closed) {
      done(null);
      return;
    }
    this.#link.add(new OutputsJob(this.#link.pending, done));
  }

  /** Asks the front-end. @param done - gets null when it has no EDID for the scanout, or the channel ends */
  queryEdid(scanout: number, done: EdidDone): void {
    if (this.#link.closed) {
      done(null);
      return;
    }
    const isOffered = (): boolean => this.#link.has(VHOST_USER_GPU_PROTOCOL_F_EDID);
    this.#link.add(new EdidJob(scanout, this.#link.pending, isOffered, done));
  }

  /** Nothing is sent where nothing changes: the front-end would begin with a black picture. */
  setScanout(scanout: number, width: number, height: number): void {
    const shown = this.#shown[scanout];
    if (this.#link.closed || (shown?.dmaBuf === null && shown.width === width && shown.height === height)) {
      return;
    }
    this.#show(scanout, { width, height, dmaBuf: null }, null);
  }

  /** `done` comes when the socket has taken the last byte, so at once while the front-end reads fast enough. */
  update(scanout: number, x: number, y: number, source: PixelSource, done: () => void): void {
    if (this.#link.closed || source.width === 0 || source.height === 0) {
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
    this.#link.add(new UpdateJob(scanout, x, y, source, done, onLost));
  }

  updateCursor(scanout: number, x: number, y: number, hotX: number, hotY: number, image: Uint8Array): void {
    this.#link.cursors.update(scanout, x, y, hotX, hotY, image);
    this.#link.pump();
  }

  moveCursor(scanout: number, x: number, y: number): void {
    this.#link.cursors.move(scanout, x, y);
    this.#link.pump();
  }

  hideCursor(scanout: number, x: number, y: number): void {
    this.#link.cursors.hide(scanout, x, y);
    this.#link.pump();
  }

  /** @returns false when the front-end cannot be told the buffer's modifier, or no descriptor is left */
  setScanoutDmaBuf(scanout: number, part: Box, frame: DmaBufFrame): boolean {
    const withModifier = this.#link.has(VHOST_USER_GPU_PROTOCOL_F_DMABUF2);
    if (this.#link.closed || !(withModifier || isPlain(frame))) {
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
    if (this.#link.closed || !this.#shown[scanout]?.dmaBuf) {
      done();
      return;
    }
    this.#link.add(new FrameJob(scanout, { ...part }, this.#link.pending, done));
  }

  /**
   * Lets go of every source of pixels, at a reset: calls the callbacks of updates, and of queries that were not sent. The
   * channel goes on; of an update under way the front-end gets the message that has begun.
   */
  settle(): void {
    if (this.#link.closed) {
      return;
    }
    this.#link.settle((job) => job instanceof ScanoutJob);
  }

  /** Closes the socket; every callback that is still owed is called. Harmless a second time. */
  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]();
  }

  #show(scanout: number, state: ScanoutState, fd: Fd | null): void {
    const before = this.#shown[scanout];
    this.#shown[scanout] = state;
    const unseen = this.#unseenScanout(scanout);
    if (unseen === null) {
      this.#link.add(new ScanoutJob(scanout, before !== undefined && before.dmaBuf !== null, state, fd));
    } else {
      unseen.replace(state, fd);
    }
  }

  /** The scanout's last state, if it has not begun and nothing was drawn to it since. */
  #unseenScanout(scanout: number): ScanoutJob | null {
    const last = this.#link.jobs.findLast((job) => job.scanout === scanout && !(job instanceof EdidJob));
    return last instanceof ScanoutJob && !last.begun ? last : null;
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
