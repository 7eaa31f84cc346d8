/** Folders for a GPU in a demonstration: one for its sockets, which goes, and one for pictures, which stays. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class SampleGpu implements Disposable {
  readonly socketPath: string;
  readonly controlPath: string;
  readonly screenshotDir: string;
  readonly #dir: string;

  constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'oriel-start-'));
    this.socketPath = join(this.#dir, 'gpu.sock');
    this.controlPath = join(this.#dir, 'control.sock');
    this.screenshotDir = mkdtempSync(join(tmpdir(), 'oriel-picture-'));
  }

  /** What the first display showed last. */
  get picturePath(): string {
    return join(this.screenshotDir, 'scanout-0.png');
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
