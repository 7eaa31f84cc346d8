/** What is under attack: a file system device on a socket, as `serve()` puts it there. */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FsDevice } from '@oriel/fs-dax';
import { PassthroughFilesystem } from '@oriel/fs-passthrough';
import { type BlockingLoop, check, Fd, openOffload, type Sys } from '@oriel/sys';
import { tempDir } from '@oriel/sys/testing';
import { type FrontendProfile, profileFor } from '@oriel/vhost-user';
import { type DeviceServer, serve } from '@oriel/virtio-device';
import { must, SoakError, same } from '../errors.ts';

/** The file that honest front-ends look at. */
export const FILE_NAME = 'honest';
export const FILE_BYTES = 4 << 20;
const WINDOW_BYTES = 8 << 20;
/** Turns of the loop that a front-end can cause at most before it rests. */
const MOST_TURNS = 20_000;
const MOST_WAIT_MS = 5000;

/** Device, server and the directory served. */
export class FsServer implements Disposable {
  readonly sys: Sys;
  readonly loop: BlockingLoop;
  readonly profile: FrontendProfile;
  readonly #stack = new DisposableStack();
  readonly #server: DeviceServer;
  readonly #fs: PassthroughFilesystem;
  readonly #socketPath: string;
  readonly #sharedDir: string;

  constructor(sys: Sys, loop: BlockingLoop, name: FrontendProfile['name']) {
    this.sys = sys;
    this.loop = loop;
    this.profile = profileFor(name, sys.mem.pageSize);
    const dir = this.#stack.use(tempDir('oriel-soak-'));
    const sharedDir = join(dir.path, 'share');
    mkdirSync(sharedDir);
    writeFileSync(join(sharedDir, 'a'), new Uint8Array(FILE_BYTES));
    this.#sharedDir = sharedDir;
    this.#socketPath = join(dir.path, 'socket');
    this.#fs = this.#stack.use(new PassthroughFilesystem({ sys, sharedDir, xattr: true, daxKeepCache: true }));
    const device = this.#stack.use(
      new FsDevice({ sys, fs: this.#fs, tag: 'soak', windowSize: WINDOW_BYTES, sharedDir, queueSize: 128 }),
    );
    const offload = this.#stack.use(openOffload(sys, loop));
    const options = { sys, loop, offload, profile: this.profile, socketPath: this.#socketPath };
    this.#server = this.#stack.use(serve(device, options));
  }

  get connected(): boolean {
    return this.#server.connected;
  }

  /** Connections so far. */
  get connections(): number {
    return this.#server.stats['connections']!;
  }

  /** A connected socket, which the server has taken. */
  dial(): Fd {
    const before = this.connections;
    const socket = new Fd(this.sys.fd, check(this.sys.socket.connectUnix(this.#socketPath), 'connect'));
    this.runUntil(() => this.connections > before, 'the server takes the connection');
    return socket;
  }

  /** Makes the honest front-ends' file afresh: the hostile ones had the same rights to it. */
  renewFile(): void {
    const path = join(this.#sharedDir, FILE_NAME);
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, '');
    truncateSync(path, FILE_BYTES);
  }

  /** Lets the loop do what is at hand. @throws SoakError ERR_SOAK_ENDLESS when it never rests */
  settle(): void {
    for (let turns = 0; turns < MOST_TURNS; turns++) if (this.loop.runOnce(0) === 0) return;
    throw new SoakError('ERR_SOAK_ENDLESS', `the loop does not rest after ${MOST_TURNS} turns`);
  }

  /** Waits for the end of a front-end that left, and looks that it left nothing behind. */
  expectIdle(): void {
    this.runUntil(() => !this.connected, 'the server notices that the front-end left');
    this.settle();
    const { inodes, handles, pending } = this.#fs.stats;
    same('inodes, handles and calls', `${inodes} ${handles} ${pending}`, '1 0 0');
  }

  runUntil(met: () => boolean, what: string): void {
    const end = performance.now() + MOST_WAIT_MS;
    while (!met()) {
      must(performance.now() < end, `${what}: not within ${MOST_WAIT_MS} ms`);
      this.loop.runOnce(5);
    }
  }

  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
    this.settle();
  }
}
