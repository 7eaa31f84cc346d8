/** The front-end's side of a device that another process serves at a socket: guest memory, a window, and a driver for each queue. */
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, type Sys } from '@oriel/sys';
import type { WindowPlacement } from '@oriel/vhost-user';
import { MockFrontend, type MockFrontendOptions } from '@oriel/vhost-user/testing';
import { driverOn, startRing } from './driver-on.ts';
import type { DriverReply, MockDriver } from './mock-driver.ts';

const WINDOW: WindowPlacement = { gpa: 0x2_0000_0000, userAddr: 0x7e00_0000_0000 };

/** What the machine is. */
export interface ConnectedMachineOptions extends Partial<Omit<MockFrontendOptions, 'loop' | 'socket'>> {
  readonly sys: Sys;
  readonly socketPath: string;
  /** Lent; default: one of its own. */
  readonly loop?: BlockingLoop;
}

/** A piece of the window. */
export interface WindowPiece {
  /** The machine's. */
  readonly fd: Fd;
  readonly len: number;
}

/** A machine without a VM on a real socket; all that it asks for waits for its answer. */
export class ConnectedMachine implements Disposable {
  readonly loop: BlockingLoop;
  readonly mock: MockFrontend;
  /** What the device mapped, by offset in the window. */
  readonly window = new Map<number, WindowPiece>();
  readonly #ownLoop: BlockingLoop | null;

  /** @throws SysError ECONNREFUSED and others; VhostUserError what the back-end refused */
  constructor({ sys, socketPath, loop, ...more }: ConnectedMachineOptions) {
    const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
    this.#ownLoop = loop === undefined ? new BlockingLoop(sys) : null;
    this.loop = loop ?? this.#ownLoop!;
    this.mock = new MockFrontend({
      sys,
      loop: this.loop,
      socket,
      announce: () => WINDOW,
      handlers: {
        shmemMap: ({ shmOffset, len }, fd) => {
          this.#unmap(shmOffset);
          this.window.set(shmOffset, { fd, len });
          return 0;
        },
        shmemUnmap: ({ shmOffset }) => {
          this.#unmap(shmOffset);
          return 0;
        },
      },
      ...more,
    });
    try {
      this.mock.connect();
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** A driver whose ring runs. @param size - entries @throws VhostUserError what the back-end refused */
  start(index: number, size?: number): MockDriver {
    const driver = driverOn(this.mock, index, size);
    const { callFd } = startRing(this.mock, index, driver);
    this.loop.watch(callFd, EPOLLIN | EPOLLET, () => {});
    return driver;
  }

  /** Sends a chain and waits for its answer. */
  ask(driver: MockDriver, readable: readonly Uint8Array[], writable: readonly number[]): DriverReply {
    driver.send(readable, writable);
    return this.answer(driver);
  }

  /** Waits for the next chain that comes back. */
  answer(driver: MockDriver): DriverReply {
    let reply = driver.take();
    this.mock.runUntil(() => (reply ??= driver.take()) !== null);
    return reply!;
  }

  /** Reads the configuration space. @param size - bytes */
  config(size: number): Uint8Array {
    return this.mock.frontend.wait<Uint8Array>((done) => this.mock.frontend.getConfig(0, size, done));
  }

  [Symbol.dispose](): void {
    this.mock[Symbol.dispose]();
    for (const shmOffset of this.window.keys()) {
      this.#unmap(shmOffset);
    }
    this.#ownLoop?.[Symbol.dispose]();
  }

  #unmap(shmOffset: number): void {
    this.window.get(shmOffset)?.fd.close();
    this.window.delete(shmOffset);
  }
}
