import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  BlockingLoop,
  check,
  ECONNREFUSED,
  EPOLLIN,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  openSys,
  PROT_READ,
  PROT_WRITE,
} from '@oriel/sys';
import { leakCheck, tempDir } from '@oriel/sys/testing';
import { layoutPackedRing, layoutSplitRing, PACKED_RING_START, PackedDriver, SplitDriver } from '@oriel/virtqueue';
import { expect } from 'chai';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  ReconnectingFrontend,
  type ReconnectingOptions,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  type VhostUserError,
} from '../src/index.ts';
import { SentFds, u32s, u64s } from './support/prelude.ts';
import { RawPeer } from './support/raw-peer.ts';
import { socketPair } from './support/setup.ts';

const GPA = 0x4000_0000;
const USER = 0x7000_0000_0000;
const RAM = 0x10000;
const SIZE = 16;
const BUFFERS = 0x8000;
const WISH = {
  features: FeatureSet.of(0, 32, 34),
  protocolFeatures: FRONTEND_PROTOCOL_FEATURES.with(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
};
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const code = (error: Error) => (error as VhostUserError).code;

/** A driver with one ring over RAM of its own, on a front-end whose back-end can be replaced. */
class Guest implements Disposable {
  readonly sys = openSys();
  readonly loop = new BlockingLoop(this.sys);
  readonly ram: Mapping;
  readonly view: DataView;
  readonly kick: Fd;
  readonly call: Fd;
  readonly #memfd: Fd;

  constructor() {
    const { sys } = this;
    this.#memfd = new Fd(sys.fd, check(sys.mem.memfdCreate('ram', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    check(sys.file.ftruncate(this.#memfd.fd, RAM), 'ftruncate');
    check(sys.mem.addSeals(this.#memfd.fd, F_SEAL_SHRINK), 'fcntl');
    this.ram = Mapping.shared(sys.mem, this.#memfd.fd, RAM, 0, PROT_READ | PROT_WRITE);
    this.view = new DataView(this.ram.u8.buffer, this.ram.u8.byteOffset);
    this.kick = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
    this.call = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
  }

  options(connect: () => number): ReconnectingOptions {
    const region = { gpa: GPA, size: RAM, userAddr: USER, mmapOffset: 0, fd: this.#memfd.fd };
    return {
      sys: this.sys,
      loop: this.loop,
      connect,
      want: WISH,
      memory: [region],
      inflight: { queueCount: 1, queueSize: SIZE },
      retryMs: 5,
    };
  }

  /** Ring 0 with these parts, bytes from the start of RAM. */
  ring(parts: { desc: number; avail: number; used: number }, base: () => number) {
    return {
      index: 0,
      size: SIZE,
      desc: USER + parts.desc,
      avail: USER + parts.avail,
      used: USER + parts.used,
      kickFd: this.kick.fd,
      callFd: this.call.fd,
      base,
    };
  }

  [Symbol.dispose](): void {
    this.kick.close();
    this.call.close();
    this.ram[Symbol.dispose]();
    this.#memfd.close();
    this.loop[Symbol.dispose]();
  }
}

describe('ReconnectingFrontend', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  /** The back-end's end of one connection after the other, answering by itself. */
  class RawBackends implements Disposable {
    /** What came, by connection: 'id:payload'. */
    readonly seen: string[][] = [];
    readonly #guest: Guest;
    readonly #inflight: SentFds;
    readonly #sockets: Fd[] = [];
    #current: { peer: RawPeer; features: number; silent: boolean; refuses: number } | null = null;
    features = 0x1_4000_0001;
    queues = 2;
    /** Connections are refused while false. */
    there = true;
    /** Answers nothing. */
    silent = false;
    /** Number of the message that is refused; 0: none. */
    refuses = 0;

    constructor(guest: Guest) {
      this.#guest = guest;
      this.#inflight = new SentFds(guest.sys, ['memory']);
    }

    readonly connect = (): number => {
      if (!this.there) {
        return -ECONNREFUSED;
      }
      const [ours, theirs] = socketPair(this.#guest.sys);
      this.#sockets.push(theirs);
      const { features, silent, refuses } = this;
      const peer = new RawPeer(this.#guest.sys, theirs, () => {});
      this.#current = { peer, features, silent, refuses };
      this.seen.push([]);
      return ours.take();
    };

    /** The back-end dies. */
    kill(): void {
      this.#current = null;
      this.#sockets.at(-1)!.close();
    }

    /** Answers what came, as long as `condition` does not hold. */
    serveUntil(condition: () => boolean): void {
      for (let turn = 0; !condition(); turn++) {
        if (turn > 2000) {
          throw new Error(`nothing came: ${JSON.stringify(this.seen)}`);
        }
        this.#guest.loop.runOnce(5);
        this.#answer();
      }
    }

    #answer(): void {
      const current = this.#current;
      if (current === null || current.silent) {
        return;
      }
      const { peer } = current;
      for (let request = peer.next(); request !== null && request !== 'eof'; request = peer.next()) {
        this.seen.at(-1)!.push(`${request.id}:${hex(request.payload)}`);
        for (const fd of request.fds) {
          this.#guest.sys.fd.close(fd);
        }
        const answers: Record<number, Uint8Array> = {
          1: u64s(current.features),
          15: u64s(0x1009),
          17: u64s(this.queues),
        };
        const ack = u64s(request.id === current.refuses ? 1 : 0);
        if (request.id === 31) {
          const area = new Uint8Array([...u64s(0x1000, 0), ...u32s(0x10_0001, 0)]);
          peer.send(31, 5, area, this.#inflight.numbers);
        } else if (answers[request.id] !== undefined || (request.flags & 8) !== 0) {
          peer.send(request.id, 5, answers[request.id] ?? ack);
        }
      }
    }

    [Symbol.dispose](): void {
      this.#inflight[Symbol.dispose]();
      for (const socket of this.#sockets) {
        socket.close();
      }
    }
  }

  const parts = layoutSplitRing(SIZE);
  const table = `5:${hex(new Uint8Array([...u32s(1, 0), ...u64s(GPA, RAM, USER, 0)]))}`;
  const inflightMessage = `${hex(u64s(0x1000, 0))}0100100000000000`;

  it('does it all again on each connection: features, in-flight area, memory, rings from their used index', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    const log: string[] = [];
    using frontend = new ReconnectingFrontend({
      ...guest.options(backends.connect),
      up: (_connection, again) => log.push(again ? 'again' : 'up'),
      down: (error) => log.push(code(error)),
    });
    frontend.start();
    backends.serveUntil(() => frontend.connection !== null);
    const ring = guest.ring(parts, () => guest.view.getUint16(parts.used + 2, true));
    frontend.startRing(ring, (error) => log.push(`ring ${error}`));
    backends.serveUntil(() => log.includes('ring null'));
    expect(guest.sys.loop.eventfdDrain(guest.kick.fd)).to.be.lessThan(0);
    guest.view.setUint16(parts.used + 2, 7, true);
    backends.kill();
    backends.serveUntil(() => frontend.connections === 2);
    const first = ['3:', '1:', '15:', '16:0910000000000000', '17:', `2:${hex(u64s(0x1_4000_0001))}`];
    const setup = (base: number) => [
      `8:${hex(u32s(0, SIZE))}`,
      `10:${hex(u32s(0, base))}`,
      `9:${hex(new Uint8Array([...u32s(0, 0), ...u64s(USER, USER + parts.used, USER + parts.avail, 0)]))}`,
      `13:${hex(u64s(0))}`,
      `12:${hex(u64s(0))}`,
      `18:${hex(u32s(0, 1))}`,
    ];
    expect(backends.seen).to.deep.equal([
      [...first, `31:${hex(u64s(0, 0))}0100100000000000`, `32:${inflightMessage}`, table, ...setup(0)],
      [...first, `32:${inflightMessage}`, table, ...setup(7)],
    ]);
    expect(log).to.deep.equal(['up', 'ring null', 'ERR_VU_CLOSED', 'again']);
    expect(guest.sys.loop.eventfdDrain(guest.kick.fd)).to.equal(1);
    expect(guest.sys.loop.eventfdDrain(guest.call.fd)).to.equal(1);
  });

  it('refuses a back-end that lacks a feature of the first, before it accepts any, and waits for another', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    const downs: string[] = [];
    using frontend = new ReconnectingFrontend({
      ...guest.options(backends.connect),
      down: (error) => downs.push(code(error)),
    });
    frontend.start();
    backends.serveUntil(() => frontend.connections === 1);
    backends.features = 0x1_4000_0000;
    backends.kill();
    backends.serveUntil(() => downs.length === 2);
    expect(downs).to.deep.equal(['ERR_VU_CLOSED', 'ERR_VU_FEATURES']);
    expect(backends.seen[1]).to.deep.equal(['3:', '1:', '15:']);
    backends.features = 0x1_c000_0001;
    backends.serveUntil(() => frontend.connections === 2);
    expect(String(frontend.connection!.features)).to.equal('0x100000001');
  });

  it('refuses a back-end with fewer queues', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    const downs: string[] = [];
    using frontend = new ReconnectingFrontend({
      ...guest.options(backends.connect),
      down: (error) => downs.push(code(error)),
    });
    frontend.start();
    backends.serveUntil(() => frontend.connections === 1);
    backends.queues = 1;
    backends.kill();
    backends.serveUntil(() => downs.length === 2);
    expect(downs).to.deep.equal(['ERR_VU_CLOSED', 'ERR_VU_FEATURES']);
    backends.queues = 3;
    backends.serveUntil(() => frontend.connections === 2);
  });

  it('waits for a back-end to be there, and starts a ring that was asked for meanwhile', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    backends.there = false;
    const outcomes: string[] = [];
    using frontend = new ReconnectingFrontend(guest.options(backends.connect));
    frontend.start();
    expect(() => frontend.start()).to.throw('ERR_VU_STATE');
    frontend.startRing(
      guest.ring(parts, () => 3),
      (error) => outcomes.push(String(error)),
    );
    guest.loop.runOnce(50);
    expect([frontend.connection, outcomes]).to.deep.equal([null, []]);
    backends.there = true;
    backends.serveUntil(() => frontend.connection !== null);
    expect(outcomes).to.deep.equal(['null']);
    expect(backends.seen[0]).to.include(`10:${hex(u32s(0, 3))}`);
  });

  it('starts a ring that is asked for while others start', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    const outcomes: string[] = [];
    using frontend = new ReconnectingFrontend(guest.options(backends.connect));
    frontend.startRing(
      guest.ring(parts, () => 0),
      (error) => outcomes.push(`0 ${error}`),
    );
    frontend.start();
    backends.serveUntil(() => backends.seen[0]?.includes(`8:${hex(u32s(0, SIZE))}`) === true);
    expect(frontend.connection).to.equal(null);
    frontend.startRing({ ...guest.ring(parts, () => 0), index: 1 }, (error) => outcomes.push(`1 ${error}`));
    frontend.stopRing(0, (error) => outcomes.push(`stop ${code(error!)}`));
    backends.serveUntil(() => outcomes.length === 3);
    expect(outcomes).to.deep.equal(['stop ERR_VU_STATE', '0 null', '1 null']);
  });

  it('gives a back-end that does not answer up in time', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    backends.silent = true;
    const downs: string[] = [];
    using frontend = new ReconnectingFrontend({
      ...guest.options(backends.connect),
      attemptMs: 1,
      down: (error) => downs.push(code(error)),
    });
    frontend.start();
    frontend.waitUntil(() => downs.length > 0);
    expect(downs).to.deep.equal(['ERR_VU_TIMEOUT']);
  });

  it('forgets a ring that the back-end refuses, and one that was stopped', () => {
    using guest = new Guest();
    using backends = new RawBackends(guest);
    backends.refuses = 9;
    const outcomes: string[] = [];
    using frontend = new ReconnectingFrontend(guest.options(backends.connect));
    frontend.start();
    backends.serveUntil(() => frontend.connection !== null);
    frontend.startRing(
      guest.ring(parts, () => 0),
      (error) => outcomes.push(code(error!)),
    );
    backends.serveUntil(() => outcomes.length === 1);
    expect(outcomes).to.deep.equal(['ERR_VU_REFUSED']);
    backends.refuses = 0;
    backends.kill();
    backends.serveUntil(() => frontend.connections === 2);
    expect(backends.seen[1]!.some((line) => line.startsWith('8:'))).to.equal(false);
    backends.there = false;
    backends.kill();
    backends.serveUntil(() => frontend.connection === null);
    frontend.startRing(
      guest.ring(parts, () => 5),
      (error) => outcomes.push(String(error)),
    );
    frontend.stopRing(0, (error, base) => outcomes.push(`${error} ${base}`));
    guest.loop.runOnce(0);
    backends.there = true;
    backends.serveUntil(() => frontend.connections === 3);
    expect(backends.seen.at(-1)!.some((line) => line.startsWith('8:'))).to.equal(false);
    expect(outcomes.at(-1)).to.equal('null 5');
  });

  it('ends what waits when it is closed', () => {
    using guest = new Guest();
    const outcomes: string[] = [];
    {
      using frontend = new ReconnectingFrontend(guest.options(() => -ECONNREFUSED));
      frontend.startRing(
        guest.ring(parts, () => 0),
        (error) => outcomes.push(code(error!)),
      );
      frontend.start();
    }
    expect(outcomes).to.deep.equal(['ERR_VU_CLOSED']);
  });
});

describe('ReconnectingFrontend and a back-end that is killed', function () {
  this.timeout(60_000);
  const program = join(import.meta.dirname, 'support', 'triple-backend.ts');

  for (const packed of [false, true]) {
    it(`answers each request once, ${packed ? 'packed' : 'split'} ring`, () => {
      using dir = tempDir();
      const socket = join(dir.path, 'vu.sock');
      const log = join(dir.path, 'log');
      writeFileSync(log, '');
      using guest = new Guest();
      const children: ChildProcess[] = [];
      const deaths = [
        ['5', 'before'],
        ['3', 'after'],
        ['6', 'before'],
        ['1', 'before'],
        ['0', 'from outside'],
        ['0', 'never'],
      ] as const;
      const launch = () => {
        const [requests, point] = deaths[children.length] ?? ['0', 'never'];
        const args = ['--conditions=@oriel/source', program, socket, log, requests, point, packed ? '32,34' : '32'];
        children.push(spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] }));
      };
      using frontend = new ReconnectingFrontend({
        ...guest.options(() => guest.sys.socket.connectUnix(socket)),
        down: launch,
      });
      try {
        launch();
        frontend.start();
        frontend.waitUntil(() => frontend.connection !== null);
        const parts = packed ? layoutPackedRing(SIZE) : layoutSplitRing(SIZE);
        const config = {
          memory: guest.ram.u8,
          memoryGpa: GPA,
          size: SIZE,
          desc: GPA + parts.desc,
          avail: GPA + parts.avail,
          used: GPA + parts.used,
          eventIdx: false,
          indirectTables: -1,
          maxIndirect: 1,
          kick: () => {
            guest.sys.loop.eventfdSignal(guest.kick.fd);
          },
        };
        const driver = packed ? new PackedDriver(config) : new SplitDriver(config);
        const base = () => (packed ? PACKED_RING_START : guest.view.getUint16(parts.used + 2, true));
        let running = false;
        frontend.startRing(guest.ring(parts, base), (error) => {
          running = error === null;
        });
        frontend.waitUntil(() => running);
        const total = 60;
        const answers: number[] = [];
        const values = new Map<number, { value: number; slot: number }>();
        const free = Array.from({ length: SIZE / 2 }, (_, slot) => slot);
        let sent = 0;
        const fill = () => {
          while (sent < total && free.length > 0) {
            const slot = free.pop()!;
            const at = BUFFERS + 32 * slot;
            guest.view.setBigUint64(at, BigInt(sent), true);
            const head = driver.add([
              { gpa: GPA + at, len: 8, writable: false },
              { gpa: GPA + at + 16, len: 8, writable: true },
            ]);
            values.set(head, { value: sent++, slot });
          }
          driver.publish();
        };
        fill();
        using _calls = guest.loop.watch(guest.call.fd, EPOLLIN, () => guest.sys.loop.eventfdDrain(guest.call.fd));
        frontend.waitUntil(() => {
          while (driver.takeUsed()) {
            const { value, slot } = values.get(driver.usedHead)!;
            values.delete(driver.usedHead);
            expect([driver.usedLen, guest.view.getBigUint64(BUFFERS + 32 * slot + 16, true)]).to.deep.equal([
              8,
              BigInt(3 * value),
            ]);
            answers.push(value);
            free.push(slot);
          }
          fill();
          if (answers.length > total / 2 && children.length === deaths.length - 1) {
            children.at(-1)!.kill('SIGKILL');
          }
          return answers.length === total;
        }, 30_000);
        expect(answers.toSorted((a, b) => a - b)).to.deep.equal(Array.from({ length: total }, (_, value) => value));
        expect(frontend.connections).to.equal(deaths.length);
        const runs = readFileSync(log, 'utf8').trim().split('\n');
        const seen = new Set<string>();
        for (const run of runs) {
          const [value, how] = run.split(' ') as [string, string];
          if (seen.has(value)) {
            expect(how).to.equal('again');
          }
          seen.add(value);
        }
        // One more where the kill from outside came between the work and its answer.
        const before = deaths.filter(([, point]) => point === 'before').length;
        expect(runs.length - total).to.be.within(before, before + 1);
      } finally {
        for (const child of children) {
          child.kill('SIGKILL');
        }
      }
    });
  }
});
