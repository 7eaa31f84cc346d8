/** The front-end's side of a connection: a window, guest memory and one ring. */
import type { UnmappedPolicy, Window, WindowEntry } from '@oriel/shm-region';
import type { BlockingLoop, Fd, Sys } from '@oriel/sys';
import type { FrontendConnection, FrontendProfile } from '@oriel/vhost-user';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { SHMID } from './back-side.ts';
import { type Library, realLibrary } from './library.ts';

/** What it is like, and demands of its back-end. */
export interface FrontSideOptions {
  readonly sys: Sys;
  readonly loop: BlockingLoop;
  readonly profile: FrontendProfile;
  /** Bytes of the window. */
  readonly size: number;
  readonly unmapped: UnmappedPolicy;
  readonly library?: Library;
}

const RAM_SIZE = 0x10000;
/** Where a front-end with a memory table has the window for its guest. */
const WINDOW_GPA = 0x1_0000_0000;

export class FrontSide implements Disposable {
  readonly window: Window;
  readonly #options: FrontSideOptions;
  #mock: MockFrontend | null = null;

  constructor(options: FrontSideOptions) {
    const { library = realLibrary, sys, size, unmapped, profile } = options;
    const { overlap, unmap } = profile.limits;
    this.#options = options;
    this.window = new library.Window(sys, { shmid: SHMID, size, unmapped, overlap, unmap });
  }

  /** @throws RangeError while it is not connected */
  get frontend(): FrontendConnection {
    return this.#connected.frontend;
  }

  /** Negotiates and starts the ring. @param socket - given away */
  connect(socket: Fd): void {
    const { sys, loop, profile } = this.#options;
    this.#mock = new MockFrontend({
      sys,
      loop,
      socket,
      ramSize: RAM_SIZE,
      shmemBit: profile.shmemBit,
      ...(this.#tells ? { announce: () => ({ gpa: WINDOW_GPA, userAddr: this.window.addr }) } : {}),
      handlers: {
        shmemMap: (request, fd) => this.window.map(request, fd),
        shmemUnmap: (request) => this.window.unmap(request),
        disconnected: () => this.window.clear(),
      },
    });
    this.#mock.connect();
    this.start();
  }

  /** Starts the ring. */
  start(): void {
    this.#connected.startRing(0);
  }

  /** Stops the ring: GET_VRING_BASE. */
  stop(): void {
    this.#connected.stopRing(0);
  }

  /** A device reset while the ring is stopped. */
  reset(): void {
    const { frontend } = this;
    frontend.wait((done) => frontend.resetDevice(done));
    if (!this.#options.profile.resetClears) {
      return;
    }
    const gone = this.window.entries();
    this.window.clear();
    if (this.#tells) {
      this.#withdraw(gone);
    }
  }

  /** Ends the connection; the window loses its mappings and lives on. */
  disconnect(): void {
    this.#mock?.[Symbol.dispose]();
    this.#mock = null;
    this.window.clear();
  }

  [Symbol.dispose](): void {
    this.window[Symbol.dispose]();
    this.#mock?.[Symbol.dispose]();
    this.#mock = null;
  }

  /** Its back-end learns of mappings by the memory table, as QEMU's does. */
  get #tells(): boolean {
    return this.#options.profile.visibility === 'memory-update';
  }

  get #connected(): MockFrontend {
    if (this.#mock === null) {
      throw new RangeError('the front-end is not connected');
    }
    return this.#mock;
  }

  /** The memory table loses what the window lost. */
  #withdraw(entries: readonly WindowEntry[]): void {
    const { frontend } = this;
    for (const { shmOffset, len } of entries) {
      const region = { gpa: WINDOW_GPA + shmOffset, size: len, userAddr: this.window.addr + shmOffset };
      frontend.wait((done) => frontend.removeMemoryRegion(region, done));
    }
  }
}
