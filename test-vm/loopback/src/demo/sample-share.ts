/** A directory to share in a demonstration: something to read, and something large to map. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HELLO = `Hello from the host.
This file came to you by a FUSE READ: header and text travelled through a virtqueue.
Its neighbour noise.bin needs no READ: its pages are mapped into your window.
`;

/** Bytes of the large file: two ranges of the window. */
export const NOISE_BYTES = 4 << 20;

/** A temporary folder with the share and its socket; disposing it removes everything. */
export class SampleShare implements Disposable {
  readonly sharedDir: string;
  readonly socketPath: string;
  readonly #dir: string;

  constructor() {
    this.#dir = mkdtempSync(join(tmpdir(), 'oriel-start-'));
    this.sharedDir = join(this.#dir, 'share');
    this.socketPath = join(this.#dir, 'oriel.sock');
    mkdirSync(this.sharedDir);
    writeFileSync(this.path('hello.txt'), HELLO);
    writeFileSync(this.path('noise.bin'), randomBytes(NOISE_BYTES));
  }

  /** Where a file of the share lies on the host. */
  path(name: string): string {
    return join(this.sharedDir, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
