import { BlockingLoop, type Sys } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { profiles, VHOST_USER_F_PROTOCOL_FEATURES } from '@oriel/vhost-user';
import { expect } from 'chai';
import {
  DeviceError,
  type DeviceErrorCode,
  type ServeOptions,
  serve,
  type VirtioEvent,
  virtioChannel,
} from '../src/index.ts';
import { driverOn, startRing } from '../src/testing/driver-on.ts';
import { ECHO, EchoDevice, HOLD } from './echo-device.ts';
import { Machine, sys } from './machine.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** What a device saw, from `from` on. */
function since(device: EchoDevice, from: number): string[] {
  return device.log.slice(from);
}

/** The system with a clock that a test puts forward. */
function sysWith(clock: { readonly aheadNs: number }): Sys {
  return { ...sys, loop: { ...sys.loop, nowNs: () => sys.loop.nowNs() + clock.aheadNs } };
}

describe('serve, over a socket', () => {
  let device: EchoDevice;
  let leaks: LeakCheck;

  beforeEach(() => {
    leaks = leakCheck();
    device = new EchoDevice();
  });
  afterEach(() => leaks.check());

  it('offers the device with ring and transport bits, and serves a request', () => {
    using machine = new Machine(device);
    expect(machine.mock.frontend.features.bits()).to.deep.equal([0, 5, 28, 29, 32]);
    expect(machine.mock.frontend.queueCount).to.equal(3);
    expect(machine.mock.frontend.shmRegions).to.deep.equal([{ shmid: 0, size: 65536 }]);
    const driver = machine.start(1);
    const { written, bytes: answer } = machine.ask(driver, bytes(ECHO, 7, 8, 9), 4);
    expect(written).to.equal(4);
    expect([...answer]).to.deep.equal([ECHO, 7, 8, 9]);
    expect(machine.mock.takeCalls(1)).to.be.greaterThan(0);
    expect(device.log).to.deep.equal(['attach', 'features 0,5', 'start 1 fresh']);
  });

  it('answers what was in the ring before it started', () => {
    using machine = new Machine(device);
    const driver = driverOn(machine.mock, 0);
    driver.send([bytes(ECHO, 1)], [2]);
    startRing(machine.mock, 0, driver);
    expect([...machine.answer(driver).bytes]).to.deep.equal([ECHO, 1]);
  });

  it('goes on at the saved base after a pause, with no reset and the request that it held', () => {
    using machine = new Machine(device);
    const driver = machine.start(1);
    machine.ask(driver, bytes(ECHO), 1);
    driver.send([bytes(HOLD, 5)], [2]);
    machine.mock.runUntil(() => device.held === 1);
    const base = machine.mock.stopRing(1);
    expect(base).to.equal(1);
    const before = device.log.length;
    startRing(machine.mock, 1, driver, base);
    machine.mock.runUntil(() => device.held === 1);
    device.release();
    expect([...machine.answer(driver).bytes]).to.deep.equal([HOLD, 5]);
    expect(since(device, before)).to.deep.equal(['features 0,5', 'start 1'].slice(1));
  });

  it('resets the device when a ring that ran starts at base 0', () => {
    using machine = new Machine(device);
    machine.ask(machine.start(1), bytes(ECHO), 1);
    machine.mock.stopRing(1);
    const before = device.log.length;
    const driver = machine.start(1);
    expect(since(device, before)).to.deep.equal(['reset', 'features 0,5', 'start 1 fresh']);
    expect([...machine.ask(driver, bytes(ECHO, 3), 2).bytes]).to.deep.equal([ECHO, 3]);
    expect(machine.server.stats['resets']).to.equal(1);
  });

  it('keeps the device through a pause although one ring was never used', () => {
    using machine = new Machine(device);
    const idle = machine.start(0);
    const busy = machine.start(1);
    machine.ask(busy, bytes(ECHO), 1);
    const bases = [machine.mock.stopRing(0), machine.mock.stopRing(1)];
    expect(bases).to.deep.equal([0, 1]);
    const before = device.log.length;
    startRing(machine.mock, 0, idle, bases[0]!);
    startRing(machine.mock, 1, busy, bases[1]!);
    expect(since(device, before)).to.deep.equal(['start 0 fresh', 'start 1']);
  });

  it('starts a ring that could not tell again behind the reset', () => {
    using machine = new Machine(device);
    machine.start(0);
    machine.ask(machine.start(1), bytes(ECHO), 1);
    machine.mock.stopRing(0);
    machine.mock.stopRing(1);
    const before = device.log.length;
    const early = machine.start(0);
    early.send([bytes(HOLD, 8)], [2]);
    machine.mock.runUntil(() => device.held === 1);
    const driver = machine.start(1);
    expect(since(device, before)).to.deep.equal([
      'start 0 fresh',
      'stop 0',
      'reset',
      'features 0,5',
      'start 0 fresh',
      'start 1 fresh',
    ]);
    machine.ask(driver, bytes(ECHO), 1);
    expect(device.held).to.equal(1);
    device.release();
    expect([...machine.answer(early).bytes]).to.deep.equal([HOLD, 8]);
  });

  it('takes rings that stay away for a new driver', () => {
    const clock = { aheadNs: 0 };
    using machine = new Machine(device, {}, {}, new BlockingLoop(sysWith(clock)));
    machine.ask(machine.start(1), bytes(ECHO), 1);
    machine.mock.stopRing(1);
    const before = device.log.length;
    const driver = machine.start(0);
    expect(since(device, before)).to.deep.equal(['start 0 fresh']);
    clock.aheadNs += 6e9;
    machine.settle();
    expect(since(device, before)).to.deep.equal(['start 0 fresh', 'stop 0', 'reset', 'features 0,5', 'start 0 fresh']);
    expect([...machine.ask(driver, bytes(ECHO, 4), 2).bytes]).to.deep.equal([ECHO, 4]);
  });

  it('waits for the other rings of a front-end that was held up', () => {
    const clock = { aheadNs: 0 };
    using machine = new Machine(device, {}, {}, new BlockingLoop(sysWith(clock)));
    const driver = machine.start(1);
    machine.ask(driver, bytes(ECHO), 1);
    const base = machine.mock.stopRing(1);
    machine.start(0);
    clock.aheadNs += 3e9;
    machine.settle();
    startRing(machine.mock, 1, driver, base);
    expect(device.log).not.to.include('reset');
  });

  it('resets when told, and not once more at the next start', () => {
    using machine = new Machine(device);
    machine.ask(machine.start(1), bytes(ECHO), 1);
    machine.mock.stopRing(1);
    const before = device.log.length;
    machine.mock.frontend.wait((done) => machine.mock.frontend.resetDevice(done));
    machine.start(1);
    expect(since(device, before)).to.deep.equal(['reset', 'features 0,5', 'start 1 fresh']);
  });

  it('lets other queues have their turn between the batches of a busy one', () => {
    using machine = new Machine(device, { batch: 4 });
    const busy = machine.start(0, 64);
    const other = machine.start(1);
    for (let request = 0; request < 32; request++) {
      busy.send([bytes(ECHO)], [1]);
    }
    other.send([bytes(ECHO)], [1]);
    machine.mock.runUntil(() => device.order.length === 33);
    expect(device.order.indexOf(1)).to.be.lessThan(9);
  });

  it('takes work from a ring without a kick while the loop spins', () => {
    using machine = new Machine(device, {}, {}, new BlockingLoop(sys, { spinNs: 1e6 }));
    const driver = driverOn(machine.mock, 1, 16, () => {});
    startRing(machine.mock, 1, driver);
    machine.settle();
    driver.send([bytes(ECHO, 2)], [2]);
    expect([...machine.answer(driver).bytes]).to.deep.equal([ECHO, 2]);
    expect(machine.server.stats['kicks']).to.equal(0);
    expect(machine.server.stats['polled']).to.equal(1);
  });

  it('asks for no kick while the loop spins, and for one before it sleeps', () => {
    using machine = new Machine(device, {}, {}, new BlockingLoop(sys, { spinNs: 1e6 }));
    let kicks = 0;
    const driver = driverOn(machine.mock, 1, 16, () => kicks++);
    startRing(machine.mock, 1, driver);
    machine.settle();
    const send = (): void => void driver.send([bytes(ECHO, 2)], [2]);
    let kicksInSpin = -1;
    using _driver = machine.loop.addPoller((sleeping) => {
      if (sleeping || kicksInSpin >= 0 || machine.server.stats['polled'] === 0) {
        return false;
      }
      const before = kicks;
      send();
      kicksInSpin = kicks - before;
      return true;
    });
    send();
    expect(kicks, 'the device slept').to.equal(1);
    machine.mock.runUntil(() => machine.server.stats['polled'] === 2);
    expect(kicksInSpin).to.equal(0);
    machine.loop.runOnce(1);
    send();
    expect(kicks, 'the device sleeps again').to.equal(2);
  });

  it('refuses a driver that did not accept VERSION_1', () => {
    using machine = new Machine(device, {}, { features: device.features.with(VHOST_USER_F_PROTOCOL_FEATURES) });
    expect(() => machine.start(0)).to.throw();
    expect(device.log.filter((line) => line.startsWith('start'))).to.deep.equal([]);
  });

  it('reads and writes the configuration space, and tells of a change', () => {
    let changes = 0;
    using machine = new Machine(device, {}, { handlers: { configChange: () => changes++ } });
    const { frontend } = machine.mock;
    const read = (): Uint8Array => frontend.wait<Uint8Array>((done) => frontend.getConfig(2, 4, done));
    expect([...read()]).to.deep.equal([3, 4, 5, 6]);
    frontend.wait((done) => frontend.setConfig(3, bytes(90, 91), done));
    expect([...read()]).to.deep.equal([3, 90, 91, 6]);
    machine.start(0);
    device.host!.configChanged();
    machine.mock.runUntil(() => changes === 1);
  });

  it('publishes what happens to those who listen', () => {
    const events: VirtioEvent[] = [];
    const listen = (event: unknown): void => {
      events.push(event as VirtioEvent);
    };
    virtioChannel.subscribe(listen);
    try {
      using machine = new Machine(device);
      machine.ask(machine.start(1), bytes(ECHO), 1);
      machine.mock.stopRing(1);
    } finally {
      virtioChannel.unsubscribe(listen);
    }
    const types = events.map(({ type }) => type).filter((type) => type !== 'batch');
    expect(types).to.deep.equal(['connected', 'running', 'queue-start', 'queue-stop', 'suspended', 'disconnected']);
    const chains = events.reduce((sum, event) => sum + (event.type === 'batch' ? event.chains : 0), 0);
    expect(chains).to.equal(1);
  });

  describe('refuses at once', () => {
    const loop = (): BlockingLoop => new BlockingLoop(sys);
    const cases: Record<string, { code: DeviceErrorCode; options?: Partial<ServeOptions>; device?: object }> = {
      'neither socket nor path': { code: 'ERR_DEVICE_OPTIONS' },
      'a batch of none': { code: 'ERR_DEVICE_OPTIONS', options: { socketPath: '/nowhere/x', batch: 0 } },
      'a path that cannot be': { code: 'ERR_DEVICE_SOCKET', options: { socketPath: '/nowhere/x' } },
      'a device with promises under the blocking driver': {
        code: 'ERR_DEVICE_ASYNC',
        options: { socketPath: '/nowhere/x' },
        device: { asynchronous: true },
      },
      'a ring feature as a device feature': {
        code: 'ERR_DEVICE_DEFINITION',
        options: { socketPath: '/nowhere/x' },
        device: { features: new EchoDevice().features.with(29) },
      },
      'a region that is no power of two, for QEMU': {
        code: 'ERR_DEVICE_DEFINITION',
        options: { socketPath: '/nowhere/x' },
        device: { shmRegions: [{ shmid: 0, size: 3 * 4096 }] },
      },
      'a ring size that is no power of two': {
        code: 'ERR_DEVICE_DEFINITION',
        options: { socketPath: '/nowhere/x' },
        device: { maxQueueSize: 100 },
      },
    };
    for (const [name, { code, options, device: changes }] of Object.entries(cases)) {
      it(name, () => {
        using blocking = loop();
        const wrong = Object.assign(new EchoDevice(), changes);
        expect(() => serve(wrong, { sys, loop: blocking, profile: profiles.qemu, ...options }))
          .to.throw(DeviceError)
          .with.property('code', code);
      });
    }
  });
});
