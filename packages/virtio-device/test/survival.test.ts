import { join } from 'node:path';
import { TestMemory } from '@oriel/guest-memory/testing';
import { BlockingLoop, check, Fd, silentLogger } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  profileFor,
  ReconnectingFrontend,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
} from '@oriel/vhost-user';
import { expect } from 'chai';
import { type DeviceServer, LocalStore, serve } from '../src/index.ts';
import { deviceConformance, MockDriver, MockHost } from '../src/testing/index.ts';
import { CountingDevice } from './counting-device.ts';
import { sys } from './machine.ts';

const count = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);

describe('a device with a state', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.settled());

  for (const { name, run } of deviceConformance(() => new CountingDevice(), {
    sys,
    makeLoop: () => new BlockingLoop(sys),
    requests: [{ queue: 0, readable: [], writable: [4], verify: ({ bytes }) => expect(count(bytes)).to.be.above(0) }],
    host: { survive: true },
    survives: true,
  })) {
    it(name, run);
  }

  it('recognises its own effect when it was killed between effect and answer', async () => {
    using loop = new BlockingLoop(sys);
    using first = new CountingDevice();
    using host = new MockHost(first, { sys, loop, survive: true });
    host.attach();
    host.start();
    expect(count((await host.request(0, [], [4])).bytes)).to.equal(1);
    first.dying = true;
    host.driver(0).send([], [4]);
    for (let turn = 0; turn < 5; turn++) await host.turn();
    using second = new CountingDevice();
    host.kill(second);
    host.attach();
    host.start();
    const driver = host.driver(0);
    let reply = driver.take();
    await host.until(() => (reply ??= driver.take()) !== null);
    expect(count(reply!.bytes)).to.equal(2);
    expect(count((await host.request(0, [], [4])).bytes)).to.equal(3);
    expect(second.log).to.deep.equal(['attach', 'restore 2', 'start']);
  });
});

describe('the state of a served device', () => {
  const profile = profileFor('qemu', sys.mem.pageSize);
  let dir: TempDir;
  let socketPath: string;
  let store: LocalStore;
  let leaks = leakCheck();

  beforeEach(() => {
    leaks = leakCheck();
    dir = tempDir();
    socketPath = join(dir.path, 'sock');
    store = new LocalStore(sys.fd);
  });
  afterEach(async () => {
    store[Symbol.dispose]();
    dir[Symbol.dispose]();
    await leaks.settled();
  });

  /** A front-end with one driver that comes back. */
  class Guest implements Disposable {
    readonly loop: BlockingLoop;
    readonly frontend: ReconnectingFrontend;
    readonly driver: MockDriver;
    readonly #ram = new TestMemory(sys, { size: 1 << 18 });
    readonly #kick = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
    readonly #call = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));

    constructor(loop: BlockingLoop) {
      const ram = this.#ram;
      this.loop = loop;
      this.driver = new MockDriver({
        memory: ram,
        gpa: ram.gpa,
        len: ram.size,
        size: 16,
        eventIdx: true,
        kick: () => sys.loop.eventfdSignal(this.#kick.fd),
      });
      const { desc, avail, used } = this.driver;
      const usedView = new DataView(ram.u8.buffer, ram.u8.byteOffset + used - ram.gpa);
      this.frontend = new ReconnectingFrontend({
        sys,
        loop,
        connect: () => sys.socket.connectUnix(socketPath),
        want: {
          features: new FeatureSet(0xffff_ffff, 0xffff_ffff),
          protocolFeatures: FRONTEND_PROTOCOL_FEATURES.with(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
        },
        memory: [{ gpa: ram.gpa, size: ram.size, userAddr: ram.userOf(ram.gpa), mmapOffset: 0, fd: ram.file.fd }],
        inflight: { queueCount: 1, queueSize: 16 },
        retryMs: 1,
      });
      const ring = {
        index: 0,
        size: 16,
        desc: ram.userOf(desc),
        avail: ram.userOf(avail),
        used: ram.userOf(used),
        kickFd: this.#kick.fd,
        callFd: this.#call.fd,
        base: () => usedView.getUint16(2, true),
      };
      this.frontend.startRing(ring, () => {});
      this.frontend.start();
    }

    ask(): number {
      this.driver.send([], [4]);
      return this.answer();
    }

    answer(): number {
      let reply = this.driver.take();
      this.frontend.waitUntil(() => (reply ??= this.driver.take()) !== null);
      return count(reply!.bytes);
    }

    [Symbol.dispose](): void {
      this.frontend[Symbol.dispose]();
      this.#kick.close();
      this.#call.close();
      this.#ram[Symbol.dispose]();
    }
  }

  function serveOn(loop: BlockingLoop, device: CountingDevice): DeviceServer {
    return serve(device, { sys, loop, profile, socketPath, survive: { store } });
  }

  it('goes on in another server under the front-end that comes back', () => {
    using loop = new BlockingLoop(sys);
    let server = serveOn(loop, new CountingDevice());
    using guest = new Guest(loop);
    expect([guest.ask(), guest.ask()]).to.deep.equal([1, 2]);
    server[Symbol.dispose]();
    const device = new CountingDevice();
    server = serveOn(loop, device);
    expect(guest.ask()).to.equal(3);
    expect(device.log).to.deep.equal(['attach', 'restore 2', 'start']);
    expect(store.names).to.include('counting.kept.file');
    server[Symbol.dispose]();
  });

  it('goes on in another process over a hand-over, saved before', () => {
    using loop = new BlockingLoop(sys);
    const first = new CountingDevice();
    const old = serveOn(loop, first);
    using guest = new Guest(loop);
    expect(guest.ask()).to.equal(1);
    expect(old.handOver()).to.equal(true);
    expect(first.log.slice(-2)).to.deep.equal(['save', 'detach']);
    const second = new CountingDevice();
    using _server = serveOn(loop, second);
    expect(guest.ask()).to.equal(2);
    expect(guest.frontend.connections).to.equal(1);
    expect(second.log).to.deep.equal(['attach', 'restore 1', 'start']);
  });

  it('ends when another driver comes', () => {
    using loop = new BlockingLoop(sys);
    const device = new CountingDevice();
    using _server = serveOn(loop, device);
    {
      using guest = new Guest(loop);
      expect(guest.ask()).to.equal(1);
    }
    using guest = new Guest(loop);
    expect(guest.ask()).to.equal(1);
    expect(device.log).to.not.include('reset');
    expect(device.log.filter((line) => line.startsWith('restore'))).to.deep.equal([]);
  });

  it('begins anew, with a word, under a driver that goes on where it was lost', () => {
    using loop = new BlockingLoop(sys);
    const old = serveOn(loop, new CountingDevice());
    using guest = new Guest(loop);
    expect(guest.ask()).to.equal(1);
    old[Symbol.dispose]();
    store.remove('counting.state');
    const said: string[] = [];
    const log = { ...silentLogger, warn: (text: string) => said.push(text) };
    const device = new CountingDevice();
    using _server = serve(device, { sys, loop, profile, socketPath, survive: { store }, log });
    expect(guest.ask()).to.equal(1);
    expect(said.some((text) => text.includes('state of the session is lost'))).to.equal(true);
  });
});
