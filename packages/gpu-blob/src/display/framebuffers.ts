/** A display that nobody sees: keeps what each scanout shows, for screenshots and tests. */
import { type Logger, silentLogger } from '@oriel/sys';
import { BYTES_PER_PIXEL, CURSOR_BYTES } from '../protocol/values.ts';
import { blendCursor } from './blend-cursor.ts';
import type { DisplaySink, PixelSource } from './sink.ts';

/** Pixels of one scanout: four bytes a pixel in the order B, G, R, X (undefined), rows without gaps. */
export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** A cursor: 64 x 64 pixels B, G, R, A, premultiplied. */
export interface CursorState {
  /** Where the upper left corner of the image is, pixels of the scanout; may be negative. */
  readonly x: number;
  readonly y: number;
  readonly hotX: number;
  readonly hotY: number;
  readonly visible: boolean;
  readonly image: Uint8Array;
}

export interface HeadlessSinkOptions {
  /** Memory for all frames together, bytes; default 256 MiB. A scanout beyond it has no frame. */
  readonly maxBytes?: number;
  readonly log?: Logger;
  /** The picture or the cursor of a scanout changed. */
  readonly onChange?: (scanout: number) => void;
}

export interface SnapshotOptions {
  /** Draw the cursor; default true. */
  readonly cursor?: boolean;
}

const DEFAULT_MAX_BYTES = 256 << 20;

/** Keeps frames and cursors in memory. */
export class HeadlessSink implements DisplaySink {
  readonly name = 'headless';
  readonly #maxBytes: number;
  readonly #log: Logger;
  readonly #onChange: (scanout: number) => void;
  readonly #frames = new Map<number, Frame>();
  readonly #cursors = new Map<number, { -readonly [K in keyof CursorState]: CursorState[K] }>();
  #usedBytes = 0;
  #hasWarned = false;

  constructor(options: HeadlessSinkOptions = {}) {
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#log = options.log ?? silentLogger;
    this.#onChange = options.onChange ?? (() => {});
  }

  /** What the scanout shows, without cursor; changed by later updates. Null: it is off, or too large. */
  frame(scanout: number): Frame | null {
    return this.#frames.get(scanout) ?? null;
  }

  /** The scanout's cursor, changed by later calls; null: it never had one. */
  cursor(scanout: number): CursorState | null {
    return this.#cursors.get(scanout) ?? null;
  }

  /** A copy of what the scanout shows, with its cursor. Null: it is off, or too large. */
  snapshot(scanout: number, options: SnapshotOptions = {}): Frame | null {
    const frame = this.frame(scanout);
    if (frame === null) {
      return null;
    }
    const copy = { ...frame, pixels: frame.pixels.slice() };
    const cursor = this.cursor(scanout);
    if ((options.cursor ?? true) && cursor?.visible) {
      blendCursor(copy, cursor);
    }
    return copy;
  }

  /** A new size begins black; the same size keeps its picture. */
  setScanout(scanout: number, width: number, height: number): void {
    const old = this.frame(scanout);
    if (old !== null && old.width === width && old.height === height) {
      return;
    }
    this.#usedBytes -= old?.pixels.length ?? 0;
    this.#frames.delete(scanout);
    const bytes = width * height * BYTES_PER_PIXEL;
    if (this.#usedBytes + bytes > this.#maxBytes) {
      this.#warn('no frame for a scanout: too large', { scanout, width, height, maxBytes: this.#maxBytes });
    } else if (bytes > 0) {
      this.#usedBytes += bytes;
      this.#frames.set(scanout, { width, height, pixels: new Uint8Array(bytes) });
    }
    this.#onChange(scanout);
  }

  /** Copies at once: `done` is called before it returns. What lies outside of the scanout is left out whole. */
  update(scanout: number, x: number, y: number, source: PixelSource, done: () => void): void {
    const frame = this.frame(scanout);
    if (frame !== null) {
      const fits = x + source.width <= frame.width && y + source.height <= frame.height;
      const result = fits ? copyTo(frame, x, y, source) : -1;
      if (result < 0) {
        this.#warn('an update was lost', { scanout, x, y, width: source.width, height: source.height, result });
      }
      this.#onChange(scanout);
    }
    done();
  }

  updateCursor(scanout: number, x: number, y: number, hotX: number, hotY: number, image: Uint8Array): void {
    const cursor = this.#cursorOf(scanout);
    cursor.image.set(image);
    cursor.hotX = hotX;
    cursor.hotY = hotY;
    this.#place(scanout, x, y, true);
  }

  moveCursor(scanout: number, x: number, y: number): void {
    this.#place(scanout, x, y, true);
  }

  hideCursor(scanout: number, x: number, y: number): void {
    this.#place(scanout, x, y, false);
  }

  /** Forgets every frame and cursor. */
  [Symbol.dispose](): void {
    this.#frames.clear();
    this.#cursors.clear();
    this.#usedBytes = 0;
  }

  #cursorOf(scanout: number): { -readonly [K in keyof CursorState]: CursorState[K] } {
    let cursor = this.#cursors.get(scanout);
    if (cursor === undefined) {
      cursor = { x: 0, y: 0, hotX: 0, hotY: 0, visible: false, image: new Uint8Array(CURSOR_BYTES) };
      this.#cursors.set(scanout, cursor);
    }
    return cursor;
  }

  #place(scanout: number, x: number, y: number, visible: boolean): void {
    const cursor = this.#cursorOf(scanout);
    // Coordinates are unsigned on the wire; a cursor at the upper or left edge wraps around.
    cursor.x = x | 0;
    cursor.y = y | 0;
    cursor.visible = visible;
    this.#onChange(scanout);
  }

  /** A guest can cause these at will: said once. */
  #warn(message: string, fields: Record<string, unknown>): void {
    if (!this.#hasWarned) {
      this.#hasWarned = true;
      this.#log.warn(message, fields);
    }
  }
}

/** @returns 0 or a negative errno */
function copyTo(frame: Frame, x: number, y: number, source: PixelSource): number {
  const { width, height, direct } = source;
  const pitch = frame.width * BYTES_PER_PIXEL;
  const rowBytes = width * BYTES_PER_PIXEL;
  const start = y * pitch + x * BYTES_PER_PIXEL;
  if (direct === null || direct.length < rowBytes * height) {
    return copyRowsTo(frame, start, pitch, source);
  }
  for (let row = 0; row < height; row++) {
    frame.pixels.set(direct.subarray(row * rowBytes, (row + 1) * rowBytes), start + row * pitch);
  }
  return 0;
}

function copyRowsTo(frame: Frame, start: number, pitch: number, source: PixelSource): number {
  const { width, height } = source;
  if (width === frame.width) {
    return source.copyRows(0, height, frame.pixels, start);
  }
  for (let row = 0; row < height; row++) {
    const result = source.copyRows(row, 1, frame.pixels, start + row * pitch);
    if (result < 0) {
      return result;
    }
  }
  return 0;
}
