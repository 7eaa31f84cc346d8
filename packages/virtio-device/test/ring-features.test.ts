/** What `ringFeatures` offers: packed rings, IN_ORDER, RING_RESET, in all combinations. */
import { BlockingLoop } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { FeatureSet, profiles } from '@oriel/vhost-user';
import { VIRTIO_F_IN_ORDER, VIRTIO_F_RING_PACKED, VIRTIO_F_RING_RESET } from '@oriel/virtqueue';
import { expect } from 'chai';
import { DeviceError, serve } from '../src/index.ts';
import { driverOn, startRing } from '../src/testing/driver-on.ts';
import type { MockDriver } from '../src/testing/index.ts';
import { ECHO, EchoDevice, HOLD } from './echo-device.ts';
import { Machine, sys } from './machine.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

/** The first bytes of all that came back. */
function takeAll(driver: MockDriver): number[][] {
  const all: number[][] = [];
  for (let reply = driver.take(); reply !== null; reply = driver.take()) all.push([...reply.bytes]);
  return all;
}

describe('ring features of a served device', () => {
  let device: EchoDevice;
  let leaks: LeakCheck;

  beforeEach(() => {
    leaks = leakCheck();
    device = new EchoDevice();
  });
  afterEach(() => leaks.check());

  it('are not offered unless asked for', () => {
    using machine = new Machine(device);
    expect(machine.mock.frontend.features.bits()).to.deep.equal([0, 5, 28, 29, 32]);
  });

  it('are refused where they are none', () => {
    using loop = new BlockingLoop(sys);
    const ringFeatures = FeatureSet.of(VIRTIO_F_RING_PACKED, 33);
    const options = { sys, loop, profile: profiles.qemu, socketPath: '/nowhere/x', ringFeatures };
    expect(() => serve(device, options))
      .to.throw(DeviceError, '33')
      .with.property('code', 'ERR_DEVICE_OPTIONS');
  });

  for (const packed of [false, true]) {
    const format = packed ? [VIRTIO_F_RING_PACKED] : [];
    const name = packed ? 'packed' : 'split';

    it(`serve requests of any shape, lap after lap (${name})`, () => {
      using machine = new Machine(device, { ringFeatures: FeatureSet.of(...format) });
      expect(machine.mock.frontend.features.bits()).to.deep.equal([0, 5, 28, 29, 32, ...format]);
      const driver = machine.start(1);
      for (let i = 0; i < 50; i++) {
        const parts = Array.from({ length: 1 + (i % 5) }, (_, part) => bytes(part === 0 ? ECHO : i));
        driver.send(parts, [1, 2, 1]);
        expect([...machine.answer(driver).bytes].slice(0, 2)).to.deep.equal([ECHO, i % 5 === 0 ? 0xee : i]);
      }
      expect(machine.mock.takeCalls(1)).to.be.greaterThan(0);
    });

    it(`answer in order what the device answers out of it, also over a pause (${name})`, () => {
      using machine = new Machine(device, { ringFeatures: FeatureSet.of(...format, VIRTIO_F_IN_ORDER) });
      const driver = machine.start(1);
      driver.send([bytes(HOLD, 1)], [2]);
      driver.send([bytes(ECHO, 2)], [2]);
      machine.mock.runUntil(() => device.held === 1);
      machine.settle();
      expect([driver.take(), machine.server.stats.completed]).to.deep.equal([null, 1]);
      const base = machine.mock.stopRing(1);
      startRing(machine.mock, 1, driver, base);
      driver.send([bytes(ECHO, 3)], [2]);
      machine.settle();
      expect([device.held, driver.take()]).to.deep.equal([1, null]);
      device.release();
      machine.settle();
      expect(takeAll(driver)).to.deep.equal([
        [HOLD, 1],
        [ECHO, 2],
        [ECHO, 3],
      ]);
      expect([...machine.ask(driver, bytes(ECHO, 4), 2).bytes]).to.deep.equal([ECHO, 4]);
    });

    it(`let one queue be reset while the others run, and come back with another size (${name})`, () => {
      using machine = new Machine(device, { ringFeatures: FeatureSet.of(...format, VIRTIO_F_RING_RESET) });
      const other = machine.start(0);
      const driver = machine.start(1);
      driver.send([bytes(HOLD, 1)], [2]);
      machine.mock.runUntil(() => device.held === 1);
      machine.ask(driver, bytes(ECHO), 1);
      machine.mock.stopRing(1);
      expect(device.kept[1]?.length).to.equal(1);
      const again = driverOn(machine.mock, 1, 8);
      startRing(machine.mock, 1, again);
      expect([device.log.includes('reset'), device.log.at(-1), device.held]).to.deep.equal([false, 'start 1 fresh', 0]);
      expect([...machine.ask(again, bytes(ECHO, 5), 2).bytes]).to.deep.equal([ECHO, 5]);
      expect([...machine.ask(other, bytes(ECHO, 6), 2).bytes]).to.deep.equal([ECHO, 6]);
    });
  }
});
