import { BlockingLoop, NodeLoop, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { RngDevice } from '../examples/rng-device.ts';
import { deviceConformance, type HeldRequest, type SampleRequest } from '../src/testing/index.ts';
import { ECHO, EchoDevice, HOLD } from './echo-device.ts';

const sys = openSys();

const request: SampleRequest = {
  queue: 0,
  readable: [],
  writable: [32, 32],
  verify: ({ written, bytes }) => {
    expect(written).to.equal(64);
    expect(new Set(bytes).size).to.be.greaterThan(8);
  },
};

/** Of a device that keeps chains over a pause. */
class Holder {
  device = new EchoDevice();
  readonly make = (): EchoDevice => {
    this.device = new EchoDevice();
    return this.device;
  };
  readonly requests: readonly SampleRequest[] = [{ queue: 1, readable: [Uint8Array.of(ECHO, 3)], writable: [2] }];
  readonly held: HeldRequest = {
    queue: 1,
    readable: [Uint8Array.of(HOLD, 9)],
    writable: [2],
    verify: ({ bytes }) => expect([...bytes]).to.deep.equal([HOLD, 9]),
    release: () => this.device.release(),
  };
}

const drivers = { blocking: () => new BlockingLoop(sys), node: () => new NodeLoop(sys) };
for (const [driver, makeLoop] of Object.entries(drivers)) {
  describe(`deviceConformance of the example, ${driver} driver`, () => {
    before(() => {
      // What koffi and Node open at first use is nobody's leak.
      makeLoop()[Symbol.dispose]();
      leakCheck().check();
    });
    for (const { name, run } of deviceConformance(() => new RngDevice(), {
      sys,
      makeLoop,
      requests: [request],
      survives: true,
    })) {
      it(name, run);
    }
  });
  describe(`deviceConformance of the example with IN_ORDER, ${driver} driver`, () => {
    const host = { inOrder: true };
    for (const { name, run } of deviceConformance(() => new RngDevice(), {
      sys,
      makeLoop,
      requests: [request],
      survives: true,
      host,
    })) {
      it(name, run);
    }
  });
  describe(`deviceConformance of a device that keeps chains, ${driver} driver`, () => {
    const { make, requests, held } = new Holder();
    for (const { name, run } of deviceConformance(make, { sys, makeLoop, requests, held, survives: true })) {
      it(name, run);
    }
  });
}
