/** Rings that stop when they are drained. */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { FeatureSet } from '../src/index.ts';
import { prelude, SentFds, startRaw, u32s, u64s } from './support/prelude.ts';
import { RawPeer } from './support/raw-peer.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup, socketPair } from './support/setup.ts';

const ENABLE = 18;
const GET_BASE = 11;
const SET_INFLIGHT = 32;
const SKIP_DRAIN = 45;
const REPLY_ACK = 1 << 3;

const u64Of = (payload: Uint8Array) => Number(new DataView(payload.buffer).getBigUint64(0, true));

class DrainingHandler extends RecordingHandler {
  override features = FeatureSet.of(0, 29, 32);
  readonly inflight = true;
  drained: () => void = () => {};

  drainRing(index: number, done: () => void): void {
    this.calls.push(`drain ${index}`);
    this.drained = done;
  }
}

/** Ring 0 running; `bits`: protocol features beside REPLY_ACK and INFLIGHT_SHMFD. */
class DrainSetup extends RawSetup {
  readonly draining: DrainingHandler;

  constructor(bits: number, area: boolean) {
    const handler = new DrainingHandler();
    super({ handler });
    this.draining = handler;
    prelude(this);
    this.peer.send(16, 1, u64s(REPLY_ACK | (1 << 12) | bits));
    using fds = new SentFds(this.sys, ['memory']);
    if (area) {
      this.peer.send(SET_INFLIGHT, 1, new Uint8Array([...u64s(0x1000, 0), ...u32s(2 | (16 << 16), 0)]), fds.numbers);
    }
    startRaw(this);
    this.settle();
    this.handler.bases.set(0, 8);
    this.handler.take();
  }
}

const INFLIGHT_STOP = 1 << 20;
const SKIP = 1 << 23;
const BASE_8 = (id: string) => `${id}00000005000000080000000000000008000000`;

describe('BackendConnection, rings that drain', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('offers a stop without a drain where the rest is kept and a drain can be had', () => {
    using setup = new RawSetup({ handler: new DrainingHandler() });
    setup.peer.send(15, 1);
    expect(u64Of(setup.peer.receive().payload) & (INFLIGHT_STOP | SKIP)).to.equal(INFLIGHT_STOP | SKIP);
  });

  it('answers GET_VRING_BASE when all is completed, and stops only then', () => {
    using setup = new DrainSetup(0, true);
    setup.peer.send(GET_BASE, 1, u32s(0, 0));
    expect(setup.peer.receiveHex()).to.equal('null');
    expect(setup.handler.take()).to.deep.equal(['drain 0']);
    setup.draining.drained();
    expect(setup.peer.receiveHex()).to.equal(BASE_8('0b'));
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'suspended']);
    setup.draining.drained();
    expect(setup.handler.take()).to.deep.equal([]);
  });

  it('begins at ENABLE 0, which does not wait', () => {
    using setup = new DrainSetup(0, true);
    expect(setup.peer.ask(ENABLE, u32s(0, 0))).to.equal(0);
    setup.draining.drained();
    expect(setup.handler.take()).to.deep.equal(['drain 0']);
    setup.peer.send(GET_BASE, 1, u32s(0, 0));
    expect(setup.peer.receiveHex()).to.equal(BASE_8('0b'));
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'suspended']);
  });

  it('may send on the back channel again at ENABLE 1', () => {
    using setup = new DrainSetup((1 << 5) | (1 << 9), true);
    const [ours, theirs] = socketPair(setup.sys);
    setup.peer.ask(21, [], [theirs.fd]);
    setup.peer.ask(ENABLE, u32s(0, 0));
    setup.backend.configChanged();
    const back = new RawPeer(setup.sys, ours, () => setup.settle());
    expect(back.receiveHex()).to.equal('null');
    setup.peer.ask(ENABLE, u32s(0, 1));
    expect(back.receiveHex()).to.equal('020000000900000000000000');
    ours.close();
    theirs.close();
  });

  it('goes on with a drain when the kick is replaced', () => {
    using setup = new DrainSetup(0, true);
    setup.peer.ask(ENABLE, u32s(0, 0));
    using fds = new SentFds(setup.sys, ['event']);
    expect(setup.peer.ask(12, u64s(0), fds.numbers)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['drain 0', 'stop 0', 'start 0 base 8', 'drain 0']);
  });

  it('takes chains again at ENABLE 1', () => {
    using setup = new DrainSetup(0, true);
    setup.peer.ask(ENABLE, u32s(0, 0));
    expect(setup.peer.ask(ENABLE, u32s(0, 1))).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['drain 0', 'stop 0', 'start 0 base 8']);
    setup.draining.drained();
    setup.peer.send(GET_BASE, 1, u32s(0, 0));
    expect(setup.peer.receiveHex()).to.equal('null');
    expect(setup.handler.take()).to.deep.equal(['drain 0']);
  });

  it('leaves the rest in the area where GET_VRING_BASE_INFLIGHT was accepted, if there is one', () => {
    for (const [area, calls] of [
      [true, ['stop 0', 'suspended']],
      [false, ['drain 0']],
    ] as const) {
      using setup = new DrainSetup(INFLIGHT_STOP, area);
      setup.peer.send(GET_BASE, 1, u32s(0, 0));
      expect(setup.peer.receiveHex()).to.equal(area ? BASE_8('0b') : 'null');
      expect(setup.handler.take()).to.deep.equal(calls);
    }
  });

  it('tells the two apart by message 45, once that is accepted', () => {
    using drained = new DrainSetup(INFLIGHT_STOP | SKIP, true);
    drained.peer.send(GET_BASE, 1, u32s(0, 0));
    expect(drained.peer.receiveHex()).to.equal('null');
    expect(drained.handler.take()).to.deep.equal(['drain 0']);
    using left = new DrainSetup(INFLIGHT_STOP | SKIP, true);
    left.peer.ask(ENABLE, u32s(0, 0));
    left.handler.take();
    left.peer.send(SKIP_DRAIN, 1, u32s(0, 0));
    expect(left.peer.receiveHex()).to.equal(BASE_8('2d'));
    expect(left.handler.take()).to.deep.equal(['stop 0', 'suspended']);
  });

  it('ends when the front-end leaves during a drain', () => {
    using setup = new DrainSetup(0, true);
    setup.peer.send(GET_BASE, 1, u32s(0, 0));
    setup.settle();
    setup.peer.close();
    setup.settle();
    expect(setup.handler.take().slice(0, 3)).to.deep.equal(['drain 0', 'stop 0', 'suspended']);
    setup.draining.drained();
    expect(setup.backend.closed).to.equal(true);
  });
});
