import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { FeatureSet } from '@oriel/vhost-user';
import { VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import { expect } from 'chai';
import { startRing } from '../src/testing/driver-on.ts';
import type { MockDriver } from '../src/testing/index.ts';
import { ECHO, EchoDevice, HOLD } from './echo-device.ts';
import { Machine } from './machine.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const RING = 16;

/** A driver of queue 1 whose first chain is held, a later one answered. */
function holding(machine: Machine, device: EchoDevice) {
  const driver = machine.start(1, RING);
  const head = driver.send([bytes(HOLD, 7)], [2]);
  machine.mock.runUntil(() => device.held === 1);
  machine.ask(driver, bytes(ECHO), 1);
  return { driver, head };
}

for (const { name, features, heldBase } of [
  { name: 'split', features: [], heldBase: 2 },
  { name: 'packed', features: [VIRTIO_F_RING_PACKED], heldBase: 0x8002_8004 },
]) {
  const ringFeatures = FeatureSet.of(...features);
  describe(`chains that a served device keeps over a stop (${name})`, () => {
    let device: EchoDevice;
    let leaks: LeakCheck;

    beforeEach(() => {
      leaks = leakCheck();
      device = new EchoDevice();
    });
    afterEach(() => leaks.check());

    it('come back to it after a pause, and are answered then', () => {
      using machine = new Machine(device, { ringFeatures });
      const { driver, head } = holding(machine, device);
      const base = machine.mock.stopRing(1);
      expect([base, device.kept[1], device.held]).to.deep.equal([heldBase, [head], 0]);
      machine.settle();
      expect(driver.take()).to.equal(null);
      startRing(machine.mock, 1, driver, base);
      expect([device.held, device.queues[1]!.inFlight, device.log.includes('reset')]).to.deep.equal([1, 1, false]);
      expect([...machine.ask(driver, bytes(ECHO, 3), 2).bytes]).to.deep.equal([ECHO, 3]);
      machine.mock.takeCalls(1);
      device.release();
      expect(machine.mock.takeCalls(1)).to.equal(1);
      expect(driver.take()).to.deep.equal({ head, written: 2, bytes: bytes(HOLD, 7) });
      const { chains, completed } = machine.server.stats;
      expect([chains, completed, driver.outstanding]).to.deep.equal([3, 3, 0]);
    });

    it('come back also when only this ring is disabled for a time', () => {
      using machine = new Machine(device, { ringFeatures });
      const { driver, head } = holding(machine, device);
      machine.start(2);
      const { frontend } = machine.mock;
      const enable = (num: number) =>
        frontend.wait((done) =>
          frontend.request('SET_VRING_ENABLE', new Uint8Array(Uint32Array.of(1, num).buffer), [], (error) =>
            done(error),
          ),
        );
      enable(0);
      expect(device.kept[1]).to.deep.equal([head]);
      enable(1);
      device.release();
      expect(machine.answer(driver).bytes[1]).to.equal(7);
    });

    it('are forgotten when a new driver comes, told by its bases', () => {
      using machine = new Machine(device, { ringFeatures });
      const { driver: old } = holding(machine, device);
      machine.mock.stopRing(1);
      const driver = machine.start(1, RING);
      expect([device.log.includes('reset'), device.held, device.kept[1]]).to.deep.equal([true, 0, []]);
      device.release();
      machine.settle();
      expect([driver.take(), old.outstanding]).to.deep.equal([null, 1]);
      expect([...machine.ask(driver, bytes(ECHO, 1), 2).bytes]).to.deep.equal([ECHO, 1]);
    });

    it('are forgotten at RESET_DEVICE', () => {
      using machine = new Machine(device, { ringFeatures });
      const { frontend } = machine.mock;
      holding(machine, device);
      frontend.wait((done) => frontend.resetDevice(done));
      expect([device.log.slice(-3), device.kept[1]]).to.deep.equal([['stop 1', 'reset', 'features 0,5'], []]);
      const driver = machine.start(1, RING);
      expect(device.held).to.equal(0);
      expect([...machine.ask(driver, bytes(ECHO, 1), 2).bytes]).to.deep.equal([ECHO, 1]);
    });

    it('are forgotten when the front-end leaves', () => {
      using machine = new Machine(device, { ringFeatures });
      holding(machine, device);
      machine.mock.frontend[Symbol.dispose]();
      machine.mock.runUntil(() => device.log.includes('detach'));
      expect([device.held, device.kept[1]]).to.deep.equal([0, []]);
    });

    it('come back empty when the device was reset under the driver that sent them', () => {
      using machine = new Machine(device, { ringFeatures });
      machine.start(0);
      machine.ask(machine.start(1), bytes(ECHO), 1);
      machine.mock.stopRing(0);
      machine.mock.stopRing(1);
      // Queue 0 cannot tell yet that its driver is a new one; queue 1 can.
      const early = machine.start(0);
      const head = early.send([bytes(HOLD, 8)], [2]);
      machine.mock.runUntil(() => device.held === 1);
      machine.ask(early, bytes(ECHO), 1);
      machine.start(1);
      expect([device.log.includes('reset'), device.held]).to.deep.equal([true, 0]);
      expect(early.take()).to.deep.equal({ head, written: 0, bytes: bytes(0xee, 0xee) });
      expect([...machine.ask(early, bytes(ECHO, 5), 2).bytes]).to.deep.equal([ECHO, 5]);
    });
  });
}

describe('a base that is that of a new ring again', () => {
  let device: EchoDevice;
  let leaks: LeakCheck;

  beforeEach(() => {
    leaks = leakCheck();
    device = new EchoDevice();
  });
  afterEach(() => leaks.check());

  it('lets kept chains come back, after 65536 chains', () => {
    using machine = new Machine(device);
    const { driver, head } = holding(machine, device);
    const drain = (count: number) => {
      let left = count;
      machine.mock.runUntil(() => {
        while (left > 0 && driver.take() !== null) left--;
        return left === 0;
      });
    };
    for (let sent = 2; sent < 65_536; sent += RING - 2) {
      const batch = Math.min(RING - 2, 65_536 - sent);
      for (let i = 0; i < batch; i++) driver.send([], [1]);
      drain(batch);
    }
    expect([machine.mock.stopRing(1), device.kept[1]]).to.deep.equal([0, [head]]);
    startRing(machine.mock, 1, driver, 0);
    expect([device.log.includes('reset'), device.log.at(-1), device.held]).to.deep.equal([false, 'start 1', 1]);
    device.release();
    expect([...driver.take()!.bytes]).to.deep.equal([HOLD, 7]);
  });

  /** A driver of queue 1, a packed ring, that went around it twice. */
  function lapped(machine: Machine): MockDriver {
    const driver = machine.start(1, RING);
    for (let i = 0; i < RING; i++) machine.ask(driver, bytes(ECHO, i), 2);
    expect(machine.mock.stopRing(1)).to.equal(driver.start);
    return driver;
  }
  const ringFeatures = FeatureSet.of(VIRTIO_F_RING_PACKED);

  it('is a pause of a packed ring that a driver went around', () => {
    using machine = new Machine(device, { ringFeatures });
    const driver = lapped(machine);
    startRing(machine.mock, 1, driver);
    expect(device.log.includes('reset')).to.equal(false);
    expect([...machine.ask(driver, bytes(ECHO, 3), 2).bytes]).to.deep.equal([ECHO, 3]);
  });

  it('is a new driver of a packed ring that is blank', () => {
    using machine = new Machine(device, { ringFeatures });
    lapped(machine);
    const driver = machine.start(1, RING);
    expect(device.log.includes('reset')).to.equal(true);
    expect([...machine.ask(driver, bytes(ECHO, 3), 2).bytes]).to.deep.equal([ECHO, 3]);
  });
});
