import { fstatSync } from 'node:fs';
import { join } from 'node:path';
import { TestMemory } from '@oriel/guest-memory/testing';
import { BlockingLoop, check, Fd, MFD_CLOEXEC, silentLogger } from '@oriel/sys';
import { leakCheck, type TempDir, tempDir } from '@oriel/sys/testing';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  profileFor,
  ReconnectingFrontend,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
} from '@oriel/vhost-user';
import { expect } from 'chai';
import { type DeviceServer, LocalStore, launcherTerms, openNotifyStore, serve } from '../src/index.ts';
import { readFrozenRings } from '../src/survival/frozen-device.ts';
import { SessionState } from '../src/survival/session-state.ts';
import { deviceConformance, MockDriver, MockHost } from '../src/testing/index.ts';
import { CountingDevice } from './counting-device.ts';
import { sys } from './machine.ts';

const count = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
const memfd = (): Fd => new Fd(sys.fd, check(sys.mem.memfdCreate('kept', MFD_CLOEXEC), 'memfd_create'));

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

describe('SessionState', () => {
  const open = (store: LocalStore, size = 64, log = silentLogger) =>
    new SessionState({ sys, store, prefix: 'dev', size, log });

  it('is zero at the start of a session, and forgets what the one before kept', () => {
    const leaks = leakCheck();
    {
      using store = new LocalStore(sys.fd);
      using state = open(store);
      using fd = memfd();
      expect(state.keep('a', fd)).to.equal(true);
      state.bytes.fill(7);
      state.clear();
      expect([...new Set(state.bytes)]).to.deep.equal([0]);
      expect(state.take('a')).to.equal(null);
    }
    leaks.check();
  });

  it('takes up what is held, unless it is of another size', () => {
    using store = new LocalStore(sys.fd);
    {
      using state = open(store);
      state.bytes[3] = 9;
    }
    {
      using state = open(store);
      expect(state.bytes[3]).to.equal(9);
    }
    const said: string[] = [];
    using other = open(store, 128, { ...silentLogger, warn: (text: string) => said.push(text) });
    expect(other.bytes[3]).to.equal(0);
    expect(said.length).to.equal(1);
  });

  it('keeps so many descriptors and no more: a guest has a say in how many', () => {
    using store = new LocalStore(sys.fd);
    using fd = memfd();
    {
      using state = open(store);
      for (let name = 0; name < 1024; name++) expect(state.keep(`${name}`, fd)).to.equal(true);
      expect(state.keep('one-more', fd)).to.equal(false);
      expect(state.keep('7', fd), 'in the place of another').to.equal(true);
      state.forget('7');
      expect(state.keep('one-more', fd)).to.equal(true);
    }
    using next = open(store);
    expect(next.keep('and-another', fd)).to.equal(false);
    expect(store.names.length).to.equal(1025);
    next.clear();
    expect(store.names).to.deep.equal(['dev.state']);
    expect(next.keep('and-another', fd)).to.equal(true);
  });

  it('takes memory only for what was written, and gives it back', () => {
    const size = 64 << 20;
    using store = new LocalStore(sys.fd);
    using state = open(store, size);
    using other = new LocalStore(sys.fd);
    using copy = open(other, size);
    using file = store.take('dev.state')!;
    using copied = other.take('dev.state')!;
    const blocks = (fd: Fd): number => fstatSync(fd.fd).blocks * 512;
    state.bytes[size - 1] = 7;
    state.bytes[1 << 20] = 8;
    state.copyTo(copy);
    expect([copy.bytes[1 << 20], copy.bytes[size - 1]]).to.deep.equal([8, 7]);
    expect([blocks(file), blocks(copied)].every((bytes) => bytes > 0 && bytes < 1 << 20)).to.equal(true);
    copy.bytes[5] = 5;
    state.copyTo(copy);
    expect(copy.bytes[5], 'what was there').to.equal(0);
    state.clear();
    expect(blocks(file)).to.equal(0);
    expect([state.bytes[1 << 20], state.bytes[size - 1]]).to.deep.equal([0, 0]);
  });

  it('refuses names that no store can hold', () => {
    using store = new LocalStore(sys.fd);
    using state = open(store);
    using fd = memfd();
    for (const name of ['', 'a:b', 'a\nb', 'x'.repeat(65)]) {
      expect(() => state.keep(name, fd)).to.throw(RangeError);
      expect(() => state.take(name)).to.throw(RangeError);
    }
  });
});

describe('what a launcher says', () => {
  it('is taken out of the environment, and counts only for this process', () => {
    const env: NodeJS.ProcessEnv = {
      NOTIFY_SOCKET: '@x',
      LISTEN_FDS: '2',
      LISTEN_FDNAMES: 'a.state',
      LISTEN_PID: '7',
      HOME: '/',
    };
    expect(launcherTerms({ ...env }, 8).received).to.deep.equal([]);
    expect(launcherTerms(env, 7)).to.deep.equal({
      notifySocket: '@x',
      received: [
        { name: 'a.state', fd: 3 },
        { name: 'unknown', fd: 4 },
      ],
    });
    expect(env).to.deep.equal({ HOME: '/' });
    expect(launcherTerms({ LISTEN_FDS: '-1', LISTEN_PID: '7' }, 7)).to.deep.equal({
      notifySocket: undefined,
      received: [],
    });
  });

  it('waits once for a launcher that hears nothing, and says so now and then', () => {
    using dir = tempDir();
    const path = join(dir.path, 'notify');
    using receiver = new Fd(sys.fd, check(sys.socket.bindDatagram(path, 0o600), 'bind'));
    const said: string[] = [];
    const log = { ...silentLogger, warn: (text: string) => said.push(text) };
    using store = openNotifyStore({ notifySocket: path, received: [] }, { sys, log })!;
    using fd = memfd();
    let held = 0;
    while (store.put(`${held}`, fd.fd)) held++;
    const begun = performance.now();
    for (let more = 0; more < 100; more++) expect(store.put(`more${more}`, fd.fd)).to.equal(false);
    expect(performance.now() - begun, 'ms').to.be.below(900);
    expect(said.length).to.be.within(1, 8);
    expect(store.names.length).to.equal(held);
    // It hears again: so does whoever asks.
    const result = sys.socket.makeRecvResult(4);
    while (sys.socket.recvmsg(receiver.fd, new Uint8Array(256), 256, result) > 0) {
      for (const one of result.fds.subarray(0, result.fdCount)) sys.fd.close(one);
    }
    expect(store.put('again', fd.fd)).to.equal(true);
  });

  it('is answered in the words of systemd', () => {
    using dir = tempDir();
    const path = join(dir.path, 'notify');
    using receiver = new Fd(sys.fd, check(sys.socket.bindDatagram(path, 0o600), 'bind'));
    using store = openNotifyStore({ notifySocket: path, received: [] }, { sys })!;
    const bytes = new Uint8Array(256);
    const result = sys.socket.makeRecvResult(4);
    const heard = (): string => {
      const len = check(sys.socket.recvmsg(receiver.fd, bytes, 256, result), 'recvmsg');
      for (const fd of result.fds.subarray(0, result.fdCount)) sys.fd.close(fd);
      return `${new TextDecoder().decode(bytes.subarray(0, len))} +${result.fdCount}`;
    };
    using fd = memfd();
    expect(store.put('dev.kept.a', fd.fd)).to.equal(true);
    expect(heard()).to.equal('FDSTORE=1\nFDNAME=dev.kept.a\nFDPOLL=0 +1');
    store.put('dev.kept.a', fd.fd);
    expect([heard(), heard()][0]).to.equal('FDSTOREREMOVE=1\nFDNAME=dev.kept.a +0');
    expect(store.names).to.deep.equal(['dev.kept.a']);
    store.take('dev.kept.a')!.close();
    expect(openNotifyStore({ notifySocket: undefined, received: [] }, { sys })).to.equal(null);
    expect(() => openNotifyStore({ notifySocket: join(dir.path, 'no'), received: [] }, { sys })).to.throw('ENOENT');
  });
});

describe('the rings of a process before', () => {
  const good = {
    queues: [{ base: 3, kept: [{ head: 1, written: -1, slots: 2, buffers: [{ gpa: 4096, len: 8, writable: true }] }] }],
    history: { bases: [3], outstanding: [1], moved: [1] },
  };

  it('are read back', () => {
    expect(readFrozenRings(JSON.parse(JSON.stringify(good)), 1)).to.deep.equal(good);
  });

  it('are refused where a number cannot be', () => {
    const bad: unknown[] = [
      null,
      {},
      { ...good, queues: [] },
      { ...good, queues: 7 },
      { ...good, queues: [{ base: -1, kept: [] }] },
      { ...good, queues: [{ base: 1, kept: [{ ...good.queues[0]!.kept[0], head: 65536 }] }] },
      { ...good, queues: [{ base: 1, kept: [{ ...good.queues[0]!.kept[0], buffers: [{ gpa: 0.5, len: 1 }] }] }] },
      { ...good, history: { ...good.history, bases: [1, 2] } },
      { ...good, history: { ...good.history, moved: [2] } },
    ];
    for (const one of bad) {
      expect(() => readFrozenRings(one, 1), JSON.stringify(one)).to.throw('ERR_DEVICE_HANDOVER');
    }
  });
});
