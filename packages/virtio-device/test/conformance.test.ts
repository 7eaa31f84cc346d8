import { BlockingLoop, NodeLoop, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { RngDevice } from '../examples/rng-device.ts';
import { deviceConformance, type SampleRequest } from '../src/testing/index.ts';

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

const drivers = { blocking: () => new BlockingLoop(sys), node: () => new NodeLoop(sys) };
for (const [driver, makeLoop] of Object.entries(drivers)) {
  describe(`deviceConformance of the example, ${driver} driver`, () => {
    before(() => {
      // What koffi and Node open at first use is nobody's leak.
      makeLoop()[Symbol.dispose]();
      leakCheck().check();
    });
    for (const { name, run } of deviceConformance(() => new RngDevice(), { sys, makeLoop, requests: [request] })) {
      it(name, run);
    }
  });
}
