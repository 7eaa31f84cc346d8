/** `oriel run` with a file system and a GPU, and one machine that has both. */
import { randomFillSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Sys } from '@oriel/sys';
import { canGuard, type TempDir, tempDir } from '@oriel/sys/testing';
import { GPU_FEATURES, LoopbackVm } from '@oriel/test-vm-loopback';
import { SoakError } from '../errors.ts';
import { OrielProcess } from '../oriel-process.ts';

const MIB = 1 << 20;
export const FILES = 6;
export const FILE_BYTES = 6 * MIB;
/** Four ranges for eighteen: most accesses take one away from another file. */
const DAX_WINDOW = '8M';
const HOST_VISIBLE = '16M';
const HOSTMEM = '64M';
const RAM = 16 * MIB;

/** A file of the share, with what must be in it. */
export interface TrueFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Both devices of one machine. */
export interface BothVms extends Disposable {
  readonly fs: LoopbackVm;
  readonly gpu: LoopbackVm;
}

/** The program, and the directory that it serves. */
export class TwoDevices implements AsyncDisposable {
  readonly files: readonly TrueFile[];
  readonly oriel: OrielProcess;
  readonly #sys: Sys;
  readonly #dir: TempDir;
  readonly #sharedDir: string;

  constructor(sys: Sys) {
    this.#sys = sys;
    this.#dir = tempDir('oriel-soak-');
    const { path } = this.#dir;
    this.#sharedDir = join(path, 'share');
    mkdirSync(this.#sharedDir);
    this.files = Array.from({ length: FILES }, (_, index) => {
      const file = { name: `file${index}`, bytes: randomFillSync(new Uint8Array(FILE_BYTES)) };
      writeFileSync(join(this.#sharedDir, file.name), file.bytes);
      return file;
    });
    const guard = canGuard(sys, this.#sharedDir) ? '' : ',dax-unguarded';
    const share = `shared-dir=${this.#sharedDir},tag=soak,window=${DAX_WINDOW},state-dir=${path}${guard}`;
    const gpu = `host-visible=${HOST_VISIBLE},max-hostmem=${HOSTMEM},outputs=640x480`;
    const args = ([fs, other]: readonly number[]): string[] => [
      ...['run', '--device', `fs,fd=${fs},${share}`],
      ...['--device', `gpu,fd=${other},${gpu}`],
    ];
    this.oriel = new OrielProcess(sys, { dir: path, sockets: 2, args });
  }

  /** A machine with both devices, running. */
  boot(): BothVms {
    const [fsPath, gpuPath] = this.oriel.socketPaths as [string, string];
    using stack = new DisposableStack();
    const fs = stack.use(LoopbackVm.connect({ sys: this.#sys, socket: fsPath, ramSize: RAM }));
    const options = { sys: this.#sys, socket: gpuPath, beside: fs, deviceFeatures: GPU_FEATURES };
    const gpu = stack.use(LoopbackVm.connect(options));
    fs.start();
    gpu.start();
    const both = stack.move();
    return { fs, gpu, [Symbol.dispose]: () => both[Symbol.dispose]() };
  }

  /** The host's files are as the guest left them. @throws SoakError ERR_SOAK_MISMATCH */
  checkFiles(): void {
    for (const { name, bytes } of this.files) {
      const found = readFileSync(join(this.#sharedDir, name));
      if (Buffer.compare(found, bytes) === 0) continue;
      const at = found.findIndex((byte, index) => byte !== bytes[index]);
      throw new SoakError('ERR_SOAK_MISMATCH', `${name} on the host: byte ${at} of ${found.length} differs`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.oriel[Symbol.asyncDispose]();
    } finally {
      this.#dir[Symbol.dispose]();
    }
  }
}
