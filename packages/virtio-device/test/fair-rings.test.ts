import { BlockingLoop } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { driverOn, startRing } from '../src/testing/driver-on.ts';
import { ECHO, EchoDevice } from './echo-device.ts';
import { Machine, sys } from './machine.ts';

const BUSY = 1;
const OTHER = 2;
const BATCH = 4;
const REQUEST = Uint8Array.of(ECHO);
const ANSWER = 1;

/** While there is a flood, its first queue is never empty: the driver sends another request for each that is taken. */
class FloodedDevice extends EchoDevice {
  flood: ((taken: number) => void) | null = null;
  #taken = 0;

  override process(index: number, budget: number): boolean {
    if (index !== BUSY || this.flood === null) return super.process(index, budget);
    for (let i = 0; i < budget; i++) {
      super.process(index, 1);
      this.#taken++;
      this.flood(this.#taken);
    }
    return true;
  }
}

describe('rings beside a busy one', () => {
  let leaks: LeakCheck;

  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('get their turns though the busy one is never empty, and though they asked for no kick', () => {
    const device = new FloodedDevice();
    using machine = new Machine(device, { batch: BATCH }, {}, new BlockingLoop(sys, { spinNs: 1e6 }));
    const busy = machine.start(BUSY);
    const other = machine.start(OTHER);
    machine.settle();
    let sentAt = -1;
    device.flood = (taken) => {
      busy.take();
      busy.send([REQUEST], [ANSWER]);
      if (taken === 3 * BATCH) {
        sentAt = device.order.length;
        other.send([REQUEST], [ANSWER]);
      }
    };
    let asked = 0;
    const { polled } = machine.server.stats;
    {
      // In the spin: the ring is found by a look, and asks for no kick afterwards.
      using _driver = machine.loop.addPoller((sleeping) => {
        if (sleeping || asked === 2) return false;
        asked++;
        (asked === 1 ? other : busy).send([REQUEST], [ANSWER]);
        return true;
      });
      machine.mock.runUntil(() => asked === 2);
    }
    for (let turn = 0; turn < 20; turn++) machine.loop.runOnce(1);
    device.flood = null;
    expect(machine.server.stats['polled']).to.be.greaterThan(polled!);
    expect(sentAt).to.be.greaterThan(0);
    expect(device.order.indexOf(OTHER, sentAt) - sentAt).to.be.within(0, 2 * BATCH);
  });

  it('ask for no kick while the loop comes back by itself, also after one that was under way', () => {
    const device = new EchoDevice();
    using machine = new Machine(device, {}, {}, new BlockingLoop(sys, { spinNs: 1e6 }));
    let kicks = 0;
    const driver = driverOn(machine.mock, OTHER, 16, () => {
      kicks++;
      machine.mock.kick(OTHER);
    });
    startRing(machine.mock, OTHER, driver);
    machine.settle();
    let answers = 0;
    driver.send([REQUEST], [ANSWER]);
    using _driver = machine.loop.addPoller((sleeping) => {
      if (sleeping || driver.take() === null) return false;
      answers++;
      driver.send([REQUEST], [ANSWER]);
      return true;
    });
    // Each ends with its spin, which had work all the time; the kick of the first request is taken in between.
    for (let turn = 0; turn < 5; turn++) machine.loop.runOnce(1);
    expect(machine.server.stats['kicks']).to.equal(1);
    expect(kicks).to.equal(1);
    expect(answers).to.be.greaterThan(10);
  });
});
