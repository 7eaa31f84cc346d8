/** A device on a real socketpair with a front-end and drivers on the same loop. */
import { BlockingLoop, check, Fd, openSys, type Sys } from '@oriel/sys';
import { profileFor } from '@oriel/vhost-user';
import { MockFrontend, type MockFrontendOptions } from '@oriel/vhost-user/testing';
import { type DeviceServer, type ServeOptions, serve, type VirtioDevice } from '../src/index.ts';
import { driverOn, startRing } from '../src/testing/driver-on.ts';
import type { MockDriver } from '../src/testing/index.ts';

export const sys: Sys = openSys();

/** A connected pair of sockets: the server's and the front-end's. */
export function socketPair(): [number, Fd] {
  const pair = new Int32Array(2);
  check(sys.socket.socketpair(pair), 'socketpair');
  return [pair[0]!, new Fd(sys.fd, pair[1]!)];
}

/** A front-end on `socket`; unless told otherwise negotiated, with RAM shared. */
export function frontendOn(
  loop: BlockingLoop,
  socket: Fd,
  options: Partial<MockFrontendOptions> = {},
  connect = (mock: MockFrontend): void => mock.connect(),
): MockFrontend {
  const mock = new MockFrontend({ sys, loop, socket, ...options });
  connect(mock);
  return mock;
}

/** Everything together. */
export class Machine implements Disposable {
  readonly loop: BlockingLoop;
  readonly mock: MockFrontend;
  readonly server: DeviceServer;

  constructor(
    device: VirtioDevice,
    serveOptions: Partial<ServeOptions> = {},
    frontend: Partial<MockFrontendOptions> = {},
    loop = new BlockingLoop(sys),
    connect = (mock: MockFrontend): void => mock.connect(),
  ) {
    this.loop = loop;
    const [ours, theirs] = socketPair();
    const profile = profileFor('qemu', sys.mem.pageSize);
    this.server = serve(device, { sys, loop, profile, fd: ours, onEnd: () => {}, ...serveOptions });
    this.mock = frontendOn(loop, theirs, frontend, connect);
  }

  /** A driver whose ring runs. */
  start(index: number, size = 16): MockDriver {
    const driver = driverOn(this.mock, index, size);
    startRing(this.mock, index, driver);
    return driver;
  }

  /** Sends and waits for the answer. */
  ask(driver: MockDriver, readable: Uint8Array, writable: number): { written: number; bytes: Uint8Array } {
    driver.send([readable], [writable]);
    return this.answer(driver);
  }

  /** Waits for an answer. */
  answer(driver: MockDriver): { written: number; bytes: Uint8Array } {
    let reply = driver.take();
    this.mock.runUntil(() => (reply ??= driver.take()) !== null);
    return reply!;
  }

  /** Turns the loop until nothing happens any more. */
  settle(): void {
    while (this.loop.runOnce(0) > 0);
  }

  [Symbol.dispose](): void {
    this.mock[Symbol.dispose]();
    this.settle();
    this.server[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }
}
