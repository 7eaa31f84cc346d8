import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingLoop, check, EMFILE, Fd, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { profileFor } from '@oriel/vhost-user';
import type { MockFrontend } from '@oriel/vhost-user/testing';
import { expect } from 'chai';
import { type DeviceServer, type ServeOptions, serve } from '../src/index.ts';
import { driverOn, startRing } from '../src/testing/driver-on.ts';
import { ECHO, EchoDevice, HOLD } from './echo-device.ts';
import { frontendOn, socketPair, sys } from './machine.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const profile = profileFor('qemu', sys.mem.pageSize);

describe('connections of a served device', () => {
  let dir: TempDir;
  let path: string;
  let leaks: LeakCheck;
  let loop: BlockingLoop;
  let device: EchoDevice;
  let events: string[];

  beforeEach(() => {
    dir = tempDir();
    path = join(dir.path, 'echo.sock');
    leaks = leakCheck();
    loop = new BlockingLoop(sys);
    device = new EchoDevice();
    events = [];
  });
  afterEach(() => {
    loop[Symbol.dispose]();
    leaks.check();
    dir[Symbol.dispose]();
  });

  function listen(options: Partial<ServeOptions> = {}): DeviceServer {
    return serve(device, { sys, loop, profile, socketPath: path, onEvent: (event) => events.push(event), ...options });
  }

  function dial(): Fd {
    return new Fd(sys.fd, check(sys.socket.connectUnix(path), 'connect'));
  }

  function turnUntil(met: () => boolean): void {
    const end = sys.loop.nowNs() + 5e9;
    while (!met()) {
      expect(sys.loop.nowNs()).to.be.lessThan(end);
      loop.runOnce(5);
    }
  }

  function settle(): void {
    while (loop.runOnce(0) > 0);
  }

  /** A front-end that gets an answer from queue 1. */
  function exercise(mock: MockFrontend): void {
    const driver = driverOn(mock, 1);
    startRing(mock, 1, driver);
    driver.send([bytes(ECHO, 5)], [2]);
    let reply = driver.take();
    mock.runUntil(() => (reply ??= driver.take()) !== null);
    expect([...reply!.bytes]).to.deep.equal([ECHO, 5]);
  }

  it('serves one front-end after the other; a second one waits meanwhile', () => {
    using server = listen();
    using first = frontendOn(loop, dial());
    const waiting = dial();
    exercise(first);
    settle();
    expect(server.stats['connections']).to.equal(1);
    first.frontend[Symbol.dispose]();
    turnUntil(() => server.stats['connections'] === 2);
    using second = frontendOn(loop, waiting);
    exercise(second);
    expect(events).to.deep.equal([
      ...['listening', 'connected', 'started', 'stopped', 'disconnected'],
      ...['connected', 'started'],
    ]);
  });

  it('detaches the device when a front-end leaves in the middle of a request, and a late answer harms nobody', () => {
    using _server = listen();
    using mock = frontendOn(loop, dial());
    const driver = driverOn(mock, 1);
    startRing(mock, 1, driver);
    driver.send([bytes(HOLD)], [1]);
    mock.runUntil(() => device.held === 1);
    mock.frontend[Symbol.dispose]();
    turnUntil(() => device.log.includes('detach'));
    expect(device.log.slice(-2)).to.deep.equal(['stop 1', 'detach']);
    device.release();
    using next = frontendOn(loop, dial());
    exercise(next);
  });

  it('takes its socket file away before anything that may take long', () => {
    const server = listen();
    using _mock = frontendOn(loop, dial());
    const there: boolean[] = [];
    device.detach = () => {
      there.push(existsSync(path));
    };
    server[Symbol.dispose]();
    expect(there).to.deep.equal([false]);
  });

  it('gives everything back when a front-end leaves', () => {
    using _server = listen();
    settle();
    const taken = leakCheck();
    for (let round = 0; round < 3; round++) {
      {
        using mock = frontendOn(loop, dial());
        exercise(mock);
      }
      turnUntil(() => device.log.at(-1) === 'detach');
      settle();
      taken.check();
    }
  });

  it('ends a connection that breaks off within a message', () => {
    using server = listen();
    {
      using broken = dial();
      turnUntil(() => server.connected);
      sys.fd.write(broken.fd, bytes(1, 0, 0), 3);
      settle();
    }
    turnUntil(() => !server.connected);
    using mock = frontendOn(loop, dial());
    exercise(mock);
  });

  it('ends a connection that speaks no vhost-user', () => {
    using server = listen();
    using stranger = dial();
    turnUntil(() => server.connected);
    sys.fd.write(stranger.fd, new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n'), 18);
    turnUntil(() => !server.connected);
    using mock = frontendOn(loop, dial());
    exercise(mock);
  });

  it('lives through a lack of descriptors at accept', () => {
    let failures = 3;
    const accept: Sys['socket']['accept'] = (fd) => (failures-- > 0 ? -EMFILE : sys.socket.accept(fd));
    const poor: Sys = { ...sys, socket: { ...sys.socket, accept } };
    using server = listen({ sys: poor });
    const socket = dial();
    turnUntil(() => server.connected);
    using mock = frontendOn(loop, socket);
    exercise(mock);
    expect(server.stats['acceptErrors']).to.equal(3);
  });

  it('lets a front-end go that its device cannot take, and serves the next', () => {
    const attach = device.attach.bind(device);
    device.attach = () => {
      device.attach = attach;
      throw new Error('not today');
    };
    using server = listen();
    using unlucky = dial();
    turnUntil(() => server.stats['connections'] === 1);
    settle();
    using mock = frontendOn(loop, dial());
    exercise(mock);
    expect(device.log.filter((line) => line === 'detach')).to.deep.equal([]);
    expect(sys.fd.read(unlucky.fd, new Uint8Array(1), 1)).to.equal(0);
  });

  it('makes a socket for its owner alone, and removes it', () => {
    {
      using _server = listen();
      expect(statSync(path).mode & 0o777).to.equal(0o600);
    }
    expect(existsSync(path)).to.equal(false);
  });

  it('leaves a socket file that another took over', () => {
    {
      using _server = listen();
      check(sys.file.unlinkat(-100, new TextEncoder().encode(`${path}\0`), 0), 'unlink');
      writeFileSync(path, 'not ours');
    }
    expect(existsSync(path)).to.equal(true);
  });

  it('replaces a socket file that nobody serves, and refuses one that is served', () => {
    const dead = check(sys.socket.listenUnix(path, 0o600, -1, 1), 'listen');
    sys.fd.close(dead);
    using _server = listen();
    expect(() => listen())
      .to.throw()
      .with.property('code', 'ERR_DEVICE_SOCKET');
    using mock = frontendOn(loop, dial());
    exercise(mock);
  });

  it('serves a listening socket that it is given, and leaves its file', () => {
    const fd = check(sys.socket.listenUnix(path, 0o600, -1, 4), 'listen');
    {
      using _server = serve(device, { sys, loop, profile, fd });
      using mock = frontendOn(loop, dial());
      exercise(mock);
    }
    expect(existsSync(path)).to.equal(true);
  });

  it('refuses a descriptor that is no socket, and closes it', () => {
    const fd = check(sys.loop.eventfd(0), 'eventfd');
    expect(() => serve(device, { sys, loop, profile, fd }))
      .to.throw()
      .with.property('code', 'ERR_DEVICE_SOCKET');
  });

  it('ends the loop when the only front-end of a connected socket leaves', () => {
    const [ours, theirs] = socketPair();
    using _server = serve(device, { sys, loop, profile, fd: ours });
    theirs.close();
    loop.run();
    expect(device.log).to.deep.equal(['attach', 'detach']);
  });

  it('ends the loop after so many front-ends as were asked for', () => {
    using server = listen({ maxConnections: 2 });
    dial().close();
    dial().close();
    loop.run();
    expect(server.stats['connections']).to.equal(2);
    expect(existsSync(path)).to.equal(false);
  });

  it('stops the queues and detaches when it is disposed', () => {
    const server = listen();
    using mock = frontendOn(loop, dial());
    exercise(mock);
    server[Symbol.dispose]();
    server[Symbol.dispose]();
    expect(device.log.slice(-2)).to.deep.equal(['stop 1', 'detach']);
    settle();
  });
});
