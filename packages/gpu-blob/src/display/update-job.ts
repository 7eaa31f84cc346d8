/** Pixels of one update on their way to the front-end. */
import { errnoName } from '@oriel/sys';
import { BYTES_PER_PIXEL } from '../protocol/values.ts';
import type { ChannelJob } from './channel-job.ts';
import { GpuMsgUpdate, putHeader, VHOST_USER_GPU_UPDATE } from './channel-messages.ts';
import type { MessageWriter } from './message-writer.ts';
import type { PixelSource } from './sink.ts';

const HEAD = GpuMsgUpdate.byteLength;
/** Pixel bytes of one message, at most, gathered in the writer's buffer. */
const GATHERED_BYTES = 1 << 20;
/** The same where they lie in one piece: bounds what the front-end must take in one go. */
const DIRECT_BYTES = 16 << 20;

/** Sends a source as bands of whole rows, each an UPDATE message of its own. */
export class UpdateJob implements ChannelJob {
  readonly scanout: number;
  readonly waits = false;
  readonly #x: number;
  readonly #y: number;
  readonly #source: PixelSource;
  readonly #done: () => void;
  readonly #onLost: (why: string) => void;
  #row = 0;

  /**
   * @param source - a row has at most 1 MiB; lent until `done`
   * @param onLost - the source's memory is gone: the rest of the picture stays as it was
   */
  constructor(
    scanout: number,
    x: number,
    y: number,
    source: PixelSource,
    done: () => void,
    onLost: (why: string) => void,
  ) {
    this.scanout = scanout;
    this.#x = x;
    this.#y = y;
    this.#source = source;
    this.#done = done;
    this.#onLost = onLost;
  }

  get complete(): boolean {
    return this.#row >= this.#source.height;
  }

  compose(writer: MessageWriter): void {
    const { width, height, direct } = this.#source;
    const rowBytes = width * BYTES_PER_PIXEL;
    const first = this.#row;
    const isDirect = direct !== null && direct.length >= rowBytes * height;
    const most = Math.max(1, Math.floor((isDirect ? DIRECT_BYTES : GATHERED_BYTES) / rowBytes));
    const rows = Math.min(height - first, most);
    if (isDirect) {
      this.#putHead(writer, first, rows, rowBytes);
      writer.startWithBody(HEAD, direct, first * rowBytes, rows * rowBytes);
    } else {
      writer.reserve(HEAD + rows * rowBytes);
      const result = this.#source.copyRows(first, rows, writer.bytes, HEAD);
      if (result < 0) {
        this.#stop(errnoName(-result));
        return;
      }
      this.#putHead(writer, first, rows, rowBytes);
      writer.start(HEAD + rows * rowBytes);
    }
    this.#row = first + rows;
  }

  lost(): void {
    this.#stop('unmapped');
  }

  finish(): void {
    this.#done();
  }

  abandon(): void {
    this.#done();
  }

  #stop(why: string): void {
    this.#row = this.#source.height;
    this.#onLost(why);
  }

  #putHead(writer: MessageWriter, first: number, rows: number, rowBytes: number): void {
    const { view } = writer;
    putHeader(view, 0, VHOST_USER_GPU_UPDATE, HEAD + rows * rowBytes);
    GpuMsgUpdate.scanoutId.set(view, 0, this.scanout);
    GpuMsgUpdate.x.set(view, 0, this.#x);
    GpuMsgUpdate.y.set(view, 0, this.#y + first);
    GpuMsgUpdate.width.set(view, 0, this.#source.width);
    GpuMsgUpdate.height.set(view, 0, rows);
  }
}
