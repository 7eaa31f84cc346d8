/** A display that takes its time. */
import type { DisplaySink, PixelSource } from '../../src/index.ts';

/** Keeps updates until the test is done with them. */
export class SlowSink implements DisplaySink {
  readonly name = 'slow';
  readonly updates: { source: PixelSource; done: () => void }[] = [];
  readonly scanouts: string[] = [];
  setScanout(scanout: number, width: number, height: number): void {
    this.scanouts.push(`${scanout}: ${width}x${height}`);
  }
  update(_scanout: number, _x: number, _y: number, source: PixelSource, done: () => void): void {
    this.updates.push({ source, done });
  }
  updateCursor(): void {}
  moveCursor(): void {}
  hideCursor(): void {}
  [Symbol.dispose](): void {}
}
