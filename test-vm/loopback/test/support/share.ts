/** A shared directory with a back-end over it, and the VMs that mount it. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSys } from '@oriel/sys';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { DaxMapper, FuseClient, type LoopbackOptions, LoopbackVm, type MountMode } from '../../src/index.ts';
import type { BackendOptions } from './backend-options.ts';
import { BackendProcess } from './backend-process.ts';

/** What a test asks of the back-end. */
export type ShareOptions = Partial<Omit<BackendOptions, 'socketPath' | 'sharedDir' | 'logPath'>>;

/** A VM with the share mounted. */
export interface Mounted extends Disposable {
  readonly vm: LoopbackVm;
  readonly client: FuseClient;
  readonly dax: DaxMapper;
}

export const MIB = 1 << 20;
export const PAGE = 4096;

export const sys = openSys();

/** One back-end process and the directory that it serves. */
export class Share implements AsyncDisposable {
  readonly sharedDir: string;
  readonly stateDir: string;
  readonly #dir: TempDir;
  readonly #options: ShareOptions;
  #backend: BackendProcess | null = null;

  private constructor(options: ShareOptions, sharedDir?: string) {
    this.#dir = tempDir('oriel-loopback-');
    this.#options = options;
    this.sharedDir = sharedDir ?? join(this.#dir.path, 'share');
    this.stateDir = join(this.#dir.path, 'state');
    mkdirSync(this.sharedDir, { recursive: true });
    mkdirSync(this.stateDir);
  }

  static start(options: ShareOptions = {}): Promise<Share> {
    return Share.#start(new Share(options));
  }

  /** Another back-end over the same directory, with the same options, for another VM. */
  beside(): Promise<Share> {
    return Share.#start(new Share(this.#options, this.sharedDir));
  }

  static async #start(share: Share): Promise<Share> {
    try {
      await share.startBackend();
    } catch (error) {
      share.#dir[Symbol.dispose]();
      throw error;
    }
    return share;
  }

  get backend(): BackendProcess {
    return this.#backend!;
  }

  get socketPath(): string {
    return join(this.#dir.path, 'socket');
  }

  /** Starts another back-end; the one before has ended. */
  async startBackend(changes: ShareOptions = {}): Promise<void> {
    this.#backend = await BackendProcess.start({
      windowSize: 16 * MIB,
      tail: 'refuse',
      minSize: MIB,
      stateDir: this.stateDir,
      frontend: 'qemu',
      dieAt: null,
      ...this.#options,
      ...changes,
      socketPath: this.socketPath,
      sharedDir: this.sharedDir,
      logPath: join(this.#dir.path, 'log'),
    });
  }

  /** What the back-end has logged once it is done with what it answered last. */
  async logAfterwards(): Promise<string> {
    await this.backend.stats();
    return this.backend.log;
  }

  path(name: string): string {
    return join(this.sharedDir, name);
  }

  /** Makes a file on the host. */
  put(name: string, bytes: Uint8Array): Uint8Array {
    writeFileSync(this.path(name), bytes);
    return bytes;
  }

  /** Puts another file in the place of one, as an editor does. */
  replace(name: string, bytes: Uint8Array): Uint8Array {
    this.put(`${name}.new`, bytes);
    renameSync(this.path(`${name}.new`), this.path(name));
    return bytes;
  }

  /** Reads a file on the host. */
  get(name: string): Uint8Array {
    return new Uint8Array(readFileSync(this.path(name)));
  }

  /** Connects a VM and starts its rings. */
  boot(options: Partial<LoopbackOptions> = {}): LoopbackVm {
    const vm = LoopbackVm.connect({ sys, socket: this.socketPath, ...options });
    try {
      vm.start();
    } catch (error) {
      vm[Symbol.dispose]();
      throw error;
    }
    return vm;
  }

  /** A VM with the share mounted. */
  mount(mode: MountMode = 'always', options: Partial<LoopbackOptions> = {}): Mounted {
    const vm = this.boot(options);
    const client = new FuseClient(vm);
    try {
      client.mount(mode);
    } catch (error) {
      vm[Symbol.dispose]();
      throw error;
    }
    return { vm, client, dax: new DaxMapper(client), [Symbol.dispose]: () => vm[Symbol.dispose]() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      if (this.#backend?.alive) await this.#backend.stop();
    } finally {
      this.#dir[Symbol.dispose]();
    }
  }
}
