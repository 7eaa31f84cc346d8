/** A display that keeps what it is shown. */
import { BYTES_PER_PIXEL, type DisplaySink, type PixelSource } from '@oriel/gpu-blob';
import type { GpuPicture } from './gpu-backend-options.ts';

interface Screen {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

interface Cursor {
  x: number;
  y: number;
  readonly hotX: number;
  readonly hotY: number;
  readonly image: string;
}

export class MemorySink implements DisplaySink {
  readonly name = 'memory';
  readonly #screens = new Map<number, Screen>();
  readonly #cursors = new Map<number, Cursor>();
  #updates = 0;

  setScanout(scanout: number, width: number, height: number): void {
    const pixels = new Uint8Array(width * height * BYTES_PER_PIXEL);
    this.#screens.set(scanout, { width, height, pixels });
  }

  update(scanout: number, x: number, y: number, source: PixelSource, done: () => void): void {
    const screen = this.#screens.get(scanout);
    if (screen === undefined) throw new RangeError(`scanout ${scanout} has no size`);
    const { width, height } = source;
    if (x + width > screen.width || y + height > screen.height)
      throw new RangeError('an update outside of its scanout');
    const rowBytes = width * BYTES_PER_PIXEL;
    const row = new Uint8Array(rowBytes);
    for (let line = 0; line < height; line++) {
      if (source.direct === null) source.copyRows(line, 1, row, 0);
      else row.set(source.direct.subarray(line * rowBytes, (line + 1) * rowBytes));
      screen.pixels.set(row, ((y + line) * screen.width + x) * BYTES_PER_PIXEL);
    }
    this.#updates++;
    done();
  }

  updateCursor(scanout: number, x: number, y: number, hotX: number, hotY: number, image: Uint8Array): void {
    this.#cursors.set(scanout, { x, y, hotX, hotY, image: Buffer.from(image).toString('base64') });
  }

  moveCursor(scanout: number, x: number, y: number): void {
    const cursor = this.#cursors.get(scanout);
    if (cursor !== undefined) Object.assign(cursor, { x, y });
  }

  hideCursor(scanout: number): void {
    this.#cursors.delete(scanout);
  }

  picture(scanout: number): GpuPicture {
    const { width, height, pixels } = this.#screens.get(scanout) ?? NOTHING;
    const cursor = this.#cursors.get(scanout) ?? null;
    return { width, height, pixels: Buffer.from(pixels).toString('base64'), updates: this.#updates, cursor };
  }

  [Symbol.dispose](): void {
    this.#screens.clear();
    this.#cursors.clear();
  }
}

const NOTHING: Screen = { width: 0, height: 0, pixels: new Uint8Array(0) };
