import { BlockingLoop, Fd } from '@oriel/sys';
import { type LeakCheck, leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { MockHost } from '../src/testing/index.ts';
import { DisplayDevice, GREETING, heard } from './display-device.ts';
import { ECHO, EchoDevice } from './echo-device.ts';
import { Machine, sys } from './machine.ts';

describe('the display channel of a served device', () => {
  let leaks: LeakCheck;

  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('goes to the device, at each start anew, and is closed when the front-end leaves', () => {
    const device = new DisplayDevice();
    {
      using machine = new Machine(device);
      using first = machine.mock.openDisplay();
      expect(heard(first)).to.deep.equal([GREETING]);
      machine.ask(machine.start(1), Uint8Array.of(ECHO, 1), 2);
      machine.mock.stopRing(1);
      using second = machine.mock.openDisplay();
      expect([heard(second), heard(first)]).to.deep.equal([[GREETING], []]);
      machine.start(1);
      expect(device.log.filter((line) => !line.startsWith('features'))).to.deep.equal([
        ...['attach', 'display', 'start 1 fresh', 'stop 1', 'display', 'reset', 'start 1 fresh'],
      ]);
    }
    expect([device.display, device.log.at(-1)]).to.deep.equal([null, 'detach']);
  });

  it('is refused for a device that has none', () => {
    using machine = new Machine(new EchoDevice());
    expect(() => machine.mock.openDisplay())
      .to.throw()
      .with.property('code', 'ERR_VU_REFUSED');
  });

  it('must be a connected socket', () => {
    const device = new DisplayDevice();
    using machine = new Machine(device);
    using eventfd = new Fd(sys.fd, sys.loop.eventfd(0));
    const { frontend } = machine.mock;
    const send = () =>
      frontend.wait((done) =>
        frontend.request('GPU_SET_SOCKET', new Uint8Array(0), [eventfd.fd], (error) => done(error)),
      );
    expect(send).to.throw().with.property('code', 'ERR_VU_REFUSED');
    expect(device.display).to.equal(null);
  });

  it('is there in a machine without a socket too', () => {
    using loop = new BlockingLoop(sys);
    const device = new DisplayDevice();
    using host = new MockHost(device, { sys, loop });
    host.attach();
    using display = host.openDisplay();
    host.start();
    expect([heard(display), device.log.slice(0, 2)]).to.deep.equal([[GREETING], ['attach', 'display']]);
    using plain = new MockHost(new EchoDevice(), { sys, loop });
    plain.attach();
    expect(() => plain.openDisplay()).to.throw(RangeError);
  });
});
