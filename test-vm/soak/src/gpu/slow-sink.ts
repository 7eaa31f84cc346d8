/** A display that takes its time with each update, and looks at every pixel that it is lent. */
import { BYTES_PER_PIXEL, type DisplaySink, type PixelSource } from '@oriel/gpu-blob';
import { must } from '../errors.ts';

const MOST_UPDATE = 1 << 20;

export class SlowSink implements DisplaySink {
  readonly name = 'slow';
  /** False: an update is done at once. */
  slow = false;
  updates = 0;
  readonly #sizes = new Map<number, readonly [number, number]>();
  readonly #lent: { readonly source: PixelSource; readonly done: () => void }[] = [];
  readonly #pixels = new Uint8Array(MOST_UPDATE);

  setScanout(scanout: number, width: number, height: number): void {
    this.#sizes.set(scanout, [width, height]);
  }

  update(scanout: number, x: number, y: number, source: PixelSource, done: () => void): void {
    const [width, height] = this.#sizes.get(scanout) ?? [0, 0];
    const inside = x + source.width <= width && y + source.height <= height;
    must(inside, `an update of ${source.width} x ${source.height} at ${x}, ${y} on ${width} x ${height}`);
    this.updates++;
    if (this.slow) {
      this.#lent.push({ source, done });
      return;
    }
    this.#read(source);
    done();
  }

  updateCursor(_scanout: number, _x: number, _y: number, _hotX: number, _hotY: number, image: Uint8Array): void {
    this.#pixels.set(image);
  }

  moveCursor(): void {}

  hideCursor(): void {}

  /** Ends all updates. @returns whether there were any */
  finish(): boolean {
    const lent = this.#lent.splice(0);
    for (const { source, done } of lent) {
      this.#read(source);
      done();
    }
    return lent.length > 0;
  }

  [Symbol.dispose](): void {}

  /** As many rows as this display keeps. */
  #read(source: PixelSource): void {
    const rowBytes = source.width * BYTES_PER_PIXEL;
    const rows = Math.min(source.height, Math.floor(MOST_UPDATE / rowBytes));
    if (source.direct !== null) {
      const { length } = source.direct;
      // Empty once the resource is gone: the view must never read freed memory.
      must(length === 0 || length === rowBytes * source.height, `${length} bytes of ${rowBytes} x ${source.height}`);
      this.#pixels.set(source.direct.subarray(0, rows * rowBytes));
    } else if (rows > 0) source.copyRows(0, rows, this.#pixels, 0);
  }
}
