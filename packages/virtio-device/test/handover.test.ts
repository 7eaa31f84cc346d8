import { ftruncateSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BlockingLoop, check, type EventLoop, Fd } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import { FeatureSet, profileFor } from '@oriel/vhost-user';
import { VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import { expect } from 'chai';
import { BlkDevice } from '../examples/blk/device.ts';
import { Image } from '../examples/blk/image.ts';
import { RngDevice } from '../examples/rng-device.ts';
import { type DeviceServer, LocalStore, serve, type VirtioDevice } from '../src/index.ts';
import { driverOn, startRing } from '../src/testing/driver-on.ts';
import { dice } from './dice.ts';
import { ECHO, EchoDevice } from './echo-device.ts';
import { frontendOn, sys } from './machine.ts';
import { Survivor } from './survivor.ts';

const profile = profileFor('qemu', sys.mem.pageSize);
const PACKED = FeatureSet.of(VIRTIO_F_RING_PACKED);

describe('a hand-over', () => {
  let dir: TempDir;
  let socketPath: string;
  let store: LocalStore;
  let leaks = leakCheck();
  const events: string[] = [];

  function serveOn(loop: EventLoop, device: VirtioDevice, ringFeatures = new FeatureSet()): DeviceServer {
    const onEvent = (event: string): void => {
      events.push(event);
    };
    return serve(device, { sys, loop, profile, socketPath, ringFeatures, survive: { store }, onEvent });
  }

  beforeEach(() => {
    leaks = leakCheck();
    dir = tempDir();
    socketPath = join(dir.path, 'sock');
    store = new LocalStore(sys.fd);
    events.length = 0;
  });
  afterEach(async () => {
    store[Symbol.dispose]();
    dir[Symbol.dispose]();
    await leaks.settled();
  });

  it('goes on with a front-end that notices nothing, and with what it asked for meanwhile', () => {
    using loop = new BlockingLoop(sys);
    const old = serveOn(loop, new RngDevice());
    const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
    using mock = frontendOn(loop, socket);
    const driver = driverOn(mock, 0);
    startRing(mock, 0, driver);
    const answer = (): number => {
      let reply = driver.take();
      mock.runUntil(() => (reply ??= driver.take()) !== null);
      return reply!.written;
    };
    driver.send([], [16]);
    expect(answer()).to.equal(16);
    expect(old.handOver()).to.equal(true);
    expect(() => old.handOver()).to.throw('ERR_DEVICE_HANDOVER');
    old[Symbol.dispose]();
    driver.send([], [24]);
    while (loop.runOnce(0) > 0);
    expect(driver.take()).to.equal(null);
    expect(store.names.filter((name) => !name.includes('.handover.'))).to.deep.equal(['rng.socket', 'rng.handover']);
    using _new = serveOn(loop, new RngDevice());
    expect(answer()).to.equal(24);
    expect(store.names).to.deep.equal(['rng.socket']);
    expect(mock.frontend.closed).to.equal(false);
    expect(mock.stopRing(0)).to.equal(2);
    expect(events.filter((event) => event === 'disconnected')).to.deep.equal([]);
  });

  it('serves the next front-end on the same socket when the one that was handed over leaves', () => {
    using loop = new BlockingLoop(sys);
    serveOn(loop, new RngDevice()).handOver();
    using _new = serveOn(loop, new RngDevice());
    for (let round = 0; round < 2; round++) {
      const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
      using mock = frontendOn(loop, socket);
      expect(mock.frontend.queueCount).to.equal(1);
    }
    while (loop.runOnce(0) > 0);
    expect(events.filter((event) => event === 'disconnected').length).to.equal(2);
  });

  it('resets the device that took over when the driver starts anew behind it', () => {
    using loop = new BlockingLoop(sys);
    const old = serveOn(loop, new EchoDevice());
    const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
    using mock = frontendOn(loop, socket);
    const driver = driverOn(mock, 1);
    startRing(mock, 1, driver);
    driver.send([Uint8Array.of(ECHO)], [1]);
    mock.runUntil(() => driver.take() !== null);
    mock.stopRing(1);
    expect(old.handOver()).to.equal(true);
    const device = new EchoDevice();
    using _new = serveOn(loop, device);
    startRing(mock, 1, driverOn(mock, 1), 0);
    while (loop.runOnce(0) > 0);
    expect(device.log).to.include('reset').and.include('start 1 fresh');
  });

  it('is refused where nobody holds what it leaves', () => {
    using loop = new BlockingLoop(sys);
    using server = serve(new RngDevice(), { sys, loop, profile, socketPath, survive: {} });
    expect(() => server.handOver()).to.throw('ERR_DEVICE_HANDOVER');
  });

  for (const [what, text] of [
    ['a number where there are rings', '{"rings":7,"  '],
    ['nothing', 'null'],
    ['a list', '[]'],
    ['a count below 0', '{"fds":-1,"rings":{"queues":[null],"history":{"bases":[-1],"outstanding":[0],"moved":[0]}}}'],
    ['no JSON', '{'],
  ] as const) {
    it(`lets a front-end go whose plan has ${what}, and serves the next`, () => {
      using loop = new BlockingLoop(sys);
      const old = serveOn(loop, new RngDevice());
      const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
      const ended: string[] = [];
      using _mock = frontendOn(loop, socket, { handlers: { disconnected: (reason: string) => ended.push(reason) } });
      expect(old.handOver()).to.equal(true);
      using plan = store.take('rng.handover')!;
      const bytes = new TextEncoder().encode(text);
      if (!text.endsWith(' ')) ftruncateSync(plan.fd, bytes.length);
      check(sys.fd.pwrite(plan.fd, bytes, bytes.length, 0), 'pwrite');
      using _new = serveOn(loop, new RngDevice());
      while (loop.runOnce(0) > 0);
      expect(ended.length).to.equal(1);
      expect(store.names).to.deep.equal(['rng.socket']);
      using _next = frontendOn(loop, new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect')));
    });
  }

  for (const packed of [false, true]) {
    it(`moves a disk 20 times under load (${packed ? 'packed' : 'split'} rings)`, function () {
      this.timeout(20_000);
      const path = join(dir.path, 'image');
      const size = 4 << 20;
      writeFileSync(path, '');
      truncateSync(path, size);
      const roll = dice(packed ? 42 : 4242);
      using image = new Image(sys, path);
      {
        using guest = new Survivor({ socketPath, size, packed, roll });
        let device = new BlkDevice({ sys, image });
        let server = serveOn(guest.loop, device, PACKED);
        try {
          for (let move = 0; move < 20; move++) {
            const wanted = guest.answered + roll(100);
            while (guest.answered < wanted || guest.frontend.connections === 0) {
              guest.fill(24);
              guest.turn(100);
            }
            guest.fill(24);
            while (!server.handOver()) guest.turn(1);
            device[Symbol.dispose]();
            device = new BlkDevice({ sys, image });
            server = serveOn(guest.loop, device, PACKED);
          }
          while (guest.busy) guest.turn(100);
          expect(guest.frontend.connections).to.equal(1);
          expect(events.includes('disconnected')).to.equal(false);
          expect(readFileSync(path).equals(guest.model)).to.equal(true);
        } finally {
          server[Symbol.dispose]();
          device[Symbol.dispose]();
        }
      }
    });
  }
});
