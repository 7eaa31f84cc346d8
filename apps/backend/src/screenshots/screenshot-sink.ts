/** The display that nobody sees, of which pictures are kept. */
import { type DisplaySink, HeadlessSink, type HeadlessSinkOptions, type PixelSource } from '@oriel/gpu-blob';
import type { ScreenshotFeed } from './screenshot-feed.ts';

/** Tells a feed of changed pixels; the cursor is no part of a kept picture. */
export class ScreenshotSink extends HeadlessSink implements DisplaySink {
  readonly #feed: Pick<ScreenshotFeed, 'changed' | 'leaving'>;

  constructor(feed: Pick<ScreenshotFeed, 'changed' | 'leaving'>, options: HeadlessSinkOptions) {
    super(options);
    this.#feed = feed;
  }

  override setScanout(scanout: number, width: number, height: number): void {
    if (width === 0 || height === 0) {
      this.#feed.leaving(scanout);
    }
    super.setScanout(scanout, width, height);
  }

  override update(scanout: number, x: number, y: number, source: PixelSource, done: () => void): void {
    super.update(scanout, x, y, source, done);
    this.#feed.changed(scanout);
  }
}
