/** A gpu back-end process, and the VMs that use it. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openSys } from '@oriel/sys';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { GPU_FEATURES, GpuGuest, type LoopbackOptions, LoopbackVm } from '../../src/index.ts';
import { BackendProcess } from './backend-process.ts';
import type { GpuAsk, GpuBackendOptions, GpuBackendStats, GpuObjectPlace, GpuPicture } from './gpu-backend-options.ts';

/** What a test asks of the back-end. */
export type GpuStageOptions = Partial<Omit<GpuBackendOptions, 'socketPath' | 'logPath'>>;

/** A VM and its driver. */
export interface Booted extends Disposable {
  readonly vm: LoopbackVm;
  readonly guest: GpuGuest;
}

const PROGRAM = fileURLToPath(new URL('./gpu-backend.ts', import.meta.url));
const HOST_VISIBLE = 64 << 20;
/** Looks at the back-end, which has work to do behind a disconnect, before a difference counts as a leak. */
const LOOKS = 100;

export const sys = openSys();

/** One back-end process. */
export class GpuStage implements AsyncDisposable {
  readonly #dir: TempDir;
  readonly #options: GpuStageOptions;
  #backend: BackendProcess | null = null;

  private constructor(options: GpuStageOptions) {
    this.#dir = tempDir('oriel-loopback-');
    this.#options = options;
  }

  static async start(options: GpuStageOptions = {}): Promise<GpuStage> {
    const stage = new GpuStage(options);
    try {
      await stage.startBackend();
    } catch (error) {
      stage.#dir[Symbol.dispose]();
      throw error;
    }
    return stage;
  }

  get backend(): BackendProcess {
    return this.#backend!;
  }

  get socketPath(): string {
    return join(this.#dir.path, 'socket');
  }

  /** Starts another back-end; the one before has ended. */
  async startBackend(changes: GpuStageOptions = {}): Promise<void> {
    const options: GpuBackendOptions = {
      hostVisible: HOST_VISIBLE,
      outputs: [{ width: 64, height: 48 }],
      frontend: 'qemu',
      ...this.#options,
      ...changes,
      socketPath: this.socketPath,
      logPath: join(this.#dir.path, 'log'),
    };
    this.#backend = await BackendProcess.startProgram(PROGRAM, options);
  }

  /** Connects a VM and starts its rings. */
  boot(options: Partial<LoopbackOptions> = {}): Booted {
    const vm = LoopbackVm.connect({ sys, socket: this.socketPath, deviceFeatures: GPU_FEATURES, ...options });
    try {
      vm.start();
      return { vm, guest: new GpuGuest(vm), [Symbol.dispose]: () => vm[Symbol.dispose]() };
    } catch (error) {
      vm[Symbol.dispose]();
      throw error;
    }
  }

  stats(): Promise<GpuBackendStats> {
    return this.#ask({ ask: 'stats' });
  }

  setOutputs(...outputs: GpuBackendOptions['outputs']): Promise<unknown> {
    return this.#ask({ ask: 'outputs', outputs });
  }

  /** What a display shows now. */
  async picture(scanout = 0): Promise<Omit<GpuPicture, 'pixels'> & { readonly pixels: Uint8Array }> {
    const picture = await this.#ask<GpuPicture>({ ask: 'picture', scanout });
    return { ...picture, pixels: new Uint8Array(Buffer.from(picture.pixels, 'base64')) };
  }

  /** Reads a named object of the context type `memory` as a process of the host does. */
  async readObject(blobId: number, offset: number, len: number): Promise<Uint8Array> {
    const fd = openSync(await this.#objectPath(blobId), 'r+');
    try {
      const bytes = new Uint8Array(len);
      return bytes.subarray(0, readSync(fd, bytes, 0, len, offset));
    } finally {
      closeSync(fd);
    }
  }

  /** Writes into one; as `readObject`. */
  async writeObject(blobId: number, offset: number, bytes: Uint8Array): Promise<void> {
    const fd = openSync(await this.#objectPath(blobId), 'r+');
    try {
      writeSync(fd, bytes, 0, bytes.length, offset);
    } finally {
      closeSync(fd);
    }
  }

  /** What the back-end has open and mapped; numbers of sockets and inodes differ from round to round. */
  stock(): string {
    const { fds, maps } = this.backend.holdings();
    return [...fds, '--', ...maps].map((name) => name.replace(/\[\d+\]/, '[n]')).join('\n');
  }

  /** The stock when it is `wanted`, or what it stays at. */
  async stockSettled(wanted: string): Promise<string> {
    for (let look = 0; look < LOOKS && this.stock() !== wanted; look++) await this.stats();
    return this.stock();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#backend?.alive) await this.#backend.stop();
    } finally {
      this.#dir[Symbol.dispose]();
    }
  }

  async #objectPath(blobId: number): Promise<string> {
    const { fd } = await this.#ask<GpuObjectPlace>({ ask: 'object', blobId });
    if (fd < 0) throw new RangeError(`no object ${blobId}`);
    return `/proc/${this.backend.pid}/fd/${fd}`;
  }

  #ask<T>(ask: GpuAsk): Promise<T> {
    return this.backend.ask<T>(`${JSON.stringify(ask)}\n`);
  }
}
