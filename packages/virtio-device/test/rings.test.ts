import { check, F_SEAL_SHRINK, Fd, MFD_ALLOW_SEALING, MFD_CLOEXEC, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import { expect } from 'chai';
import { driverOn, startRing } from '../src/testing/driver-on.ts';
import { ECHO, EchoDevice } from './echo-device.ts';
import { Machine, sys } from './machine.ts';

const MORE_GPA = 0x8000_0000;
const MORE_USER = 0x7f55_0000_0000;
const MORE_BYTES = 0x1_0000;
const NO_FD = 0x100;

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

function u64(low: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(low, 0).buffer);
}

function eventfd(): Fd {
  return new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
}

function memfd(): Fd {
  const fd = new Fd(sys.fd, check(sys.mem.memfdCreate('more', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  check(sys.file.ftruncate(fd.fd, MORE_BYTES), 'ftruncate');
  check(sys.mem.addSeals(fd.fd, F_SEAL_SHRINK), 'fcntl');
  return fd;
}

function drained({ loop }: Pick<Sys, 'loop'>, fd: Fd): number {
  return Math.max(0, loop.eventfdDrain(fd.fd));
}

function takeAll(queue: DeviceQueue): Chain[] {
  const chains: Chain[] = [];
  for (let chain = queue.next(); chain !== null; chain = queue.next()) {
    chains.push(chain);
  }
  return chains;
}

describe('rings of a served device', () => {
  let device: EchoDevice;
  let leaks: LeakCheck;

  beforeEach(() => {
    leaks = leakCheck();
    device = new EchoDevice();
  });
  afterEach(() => leaks.check());

  function send(machine: Machine, name: string, payload: Uint8Array, fds: readonly number[] = []): void {
    machine.mock.frontend.wait((done) => machine.mock.frontend.request(name, payload, fds, (error) => done(error)));
  }

  it('calls on the newest call eventfd, and on none where there is none', () => {
    using machine = new Machine(device);
    using second = eventfd();
    const driver = machine.start(1);
    machine.ask(driver, bytes(ECHO), 1);
    expect(machine.mock.takeCalls(1)).to.be.greaterThan(0);
    send(machine, 'SET_VRING_CALL', u64(1), [second.fd]);
    machine.mock.takeCalls(1);
    drained(sys, second);
    machine.ask(driver, bytes(ECHO), 1);
    expect(drained(sys, second)).to.be.greaterThan(0);
    expect(machine.mock.takeCalls(1)).to.equal(0);
    send(machine, 'SET_VRING_CALL', u64(1 | NO_FD));
    expect(machine.ask(driver, bytes(ECHO, 1), 2).written).to.equal(2);
    expect(drained(sys, second)).to.equal(0);
  });

  it('looks at a ring by itself where no kick comes', () => {
    using machine = new Machine(device);
    const driver = driverOn(machine.mock, 1, 16, () => {});
    const { size } = driver;
    const user = (gpa: number): number => machine.mock.userAddress(gpa);
    machine.mock.frontend.wait((done) =>
      machine.mock.frontend.startRing(
        {
          index: 1,
          size,
          base: 0,
          desc: user(driver.desc),
          avail: user(driver.avail),
          used: user(driver.used),
          kickFd: -1,
          callFd: -1,
        },
        done,
      ),
    );
    for (let request = 1; request <= 3; request++) {
      expect(machine.ask(driver, bytes(ECHO, request), 2).bytes[1]).to.equal(request);
    }
  });

  it('refuses a kick that is a regular file', () => {
    using machine = new Machine(device);
    const driver = driverOn(machine.mock, 1);
    using file = memfd();
    const { size, desc, avail, used } = driver;
    const [d, a, u] = [desc, avail, used].map((gpa) => machine.mock.userAddress(gpa)) as [number, number, number];
    const ring = { index: 1, size, base: 0, desc: d, avail: a, used: u, kickFd: file.fd, callFd: -1 };
    expect(() => machine.mock.frontend.wait((done) => machine.mock.frontend.startRing(ring, done))).to.throw();
    machine.settle();
    const starts = device.log.filter((line) => line.startsWith('start')).length;
    expect(device.log.filter((line) => line.startsWith('stop'))).to.have.length(starts);
  });

  it('reaches memory that is added while it runs, and no longer what is removed', () => {
    using machine = new Machine(device);
    using more = memfd();
    const driver = machine.start(1);
    const region = { gpa: MORE_GPA, size: MORE_BYTES, userAddr: MORE_USER };
    const { frontend } = machine.mock;
    const writable = [{ gpa: MORE_GPA + 64, len: 16, writable: true }];
    frontend.wait((done) => frontend.addMemoryRegion({ ...region, mmapOffset: 0, fd: more.fd }, done));
    driver.sendRaw([{ gpa: MORE_GPA, len: 16, writable: false }, ...writable]);
    expect(machine.answer(driver).written).to.equal(16);
    frontend.wait((done) => frontend.removeMemoryRegion(region, done));
    driver.sendRaw([{ gpa: MORE_GPA, len: 16, writable: false }, ...writable]);
    expect(machine.answer(driver).written).to.equal(0);
    expect(machine.ask(driver, bytes(ECHO, 9), 2).bytes[1]).to.equal(9);
    expect(machine.server.stats['badChains']).to.equal(1);
  });

  it('breaks the ring whose memory is taken away, tells the front-end, and serves on after a reset', () => {
    using machine = new Machine(device);
    using err = eventfd();
    const driver = machine.start(1);
    machine.ask(driver, bytes(ECHO), 1);
    send(machine, 'SET_VRING_ERR', u64(1), [err.fd]);
    machine.mock.withdrawRam();
    machine.mock.kick(1);
    machine.settle();
    expect(drained(sys, err)).to.equal(1);
    expect(machine.server.stats['ringErrors']).to.equal(1);
    machine.mock.stopRing(1);
    machine.mock.shareRam();
    expect([...machine.ask(machine.start(1), bytes(ECHO, 6), 2).bytes]).to.deep.equal([ECHO, 6]);
  });

  it('breaks one ring for a driver error, and serves the others', () => {
    using machine = new Machine(device);
    const broken = machine.start(0);
    const sound = machine.start(1);
    broken.breakRing();
    machine.mock.runUntil(() => machine.server.stats['ringErrors'] === 1);
    expect(machine.ask(sound, bytes(ECHO, 1), 2).written).to.equal(2);
    machine.mock.stopRing(0);
    machine.mock.stopRing(1);
    expect(machine.ask(machine.start(0), bytes(ECHO, 2), 2).bytes[1]).to.equal(2);
  });

  it('counts what a stopped queue did', () => {
    using machine = new Machine(device);
    machine.ask(machine.start(1), bytes(ECHO, 1, 2), 3);
    const running = machine.server.stats;
    machine.mock.stopRing(1);
    const { chains, completed, bytesRead, bytesWritten } = machine.server.stats;
    expect([chains, completed, bytesRead, bytesWritten]).to.deep.equal([1, 1, 3, 3]);
    expect([running['chains'], running['bytesWritten']]).to.deep.equal([1, 3]);
  });

  it('calls for each chain that comes back late, though the device does not flush', () => {
    const held: Chain[] = [];
    device.process = (index) => {
      held.push(...takeAll(device.queues[index]!));
      return false;
    };
    device.stopQueue = () => {};
    using machine = new Machine(device);
    const driver = machine.start(1);
    driver.send([bytes(ECHO)], [1]);
    driver.send([bytes(ECHO)], [1]);
    machine.mock.runUntil(() => held.length === 2);
    for (const chain of held) {
      chain.queue.complete(chain, 0);
      expect(machine.mock.takeCalls(1)).to.equal(1);
      expect(driver.take()).not.to.equal(null);
    }
  });

  it('survives a kick that comes after the ring stopped', () => {
    using machine = new Machine(device);
    const driver = machine.start(1);
    machine.ask(driver, bytes(ECHO), 1);
    const base = machine.mock.stopRing(1);
    driver.send([bytes(ECHO, 1)], [2]);
    machine.mock.kick(1);
    machine.settle();
    expect(driver.take()).to.equal(null);
    startRing(machine.mock, 1, driver, base);
    expect(machine.answer(driver).written).to.equal(2);
  });
});
