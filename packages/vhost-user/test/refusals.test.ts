import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { BackendConnection, FeatureSet, FRONTEND_MESSAGES, profiles, VhostUserError } from '../src/index.ts';
import { FRONTEND_GOLDEN, payloadOf } from './support/golden.ts';
import { negotiateRaw, prelude, SentFds, shareRaw, u32s, u64s } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { reason, refusal } from './support/refusal.ts';
import { RawSetup, socketPair } from './support/setup.ts';

describe('BackendConnection, gates', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  for (const spec of FRONTEND_MESSAGES.filter((spec) => spec.gate !== null)) {
    const golden = FRONTEND_GOLDEN[spec.name];
    it(`refuses ${spec.name} where nothing was negotiated`, () => {
      using setup = new RawSetup();
      using fds = new SentFds(setup.sys, golden.fds ?? []);
      setup.peer.send(spec.id, 9, payloadOf(golden), fds.numbers);
      // Without REPLY_ACK, what has no reply of its own cannot be refused but by the end.
      const told = refusal(spec, false);
      expect(setup.peer.receiveHex()).to.equal(told ?? 'eof');
      expect(setup.backend.closed).to.equal(told === null);
      expect(setup.lines.at(-1)).to.include('ERR_VU_GATE');
    });
    if (spec.reply === 'ack') {
      it(`tells that ${spec.name} is refused and goes on, with REPLY_ACK only`, () => {
        using setup = new RawSetup();
        using fds = new SentFds(setup.sys, golden.fds ?? []);
        setup.peer.send(16, 1, u64s(1 << 3));
        expect(setup.peer.ask(spec.id, payloadOf(golden), fds.numbers)).to.equal(1);
        expect(setup.peer.ask(3)).to.equal(0);
      });
    }
  }

  it('refuses messages that the device does not serve, without losing the connection', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['socket']);
    expect(setup.peer.ask(33, [], fds.numbers)).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_UNSUPPORTED');
    expect(setup.backend.closed).to.equal(false);
  });
});

describe('BackendConnection, refusals', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('closes at a refusal that nobody wanted to hear', () => {
    using setup = new RawSetup();
    prelude(setup);
    setup.peer.send(8, 1, u32s(0, 3));
    expect(setup.peer.receiveHex()).to.equal('eof');
    expect(reason(setup)).to.equal('ERR_VU_RING');
  });

  it('does not ack before REPLY_ACK was negotiated, and acks the message that negotiates it', () => {
    using setup = new RawSetup();
    setup.peer.send(3, 9);
    expect(setup.peer.receiveHex()).to.equal('null');
    setup.peer.send(16, 9, u64s(1));
    expect(setup.peer.receiveHex()).to.equal('null');
    expect(setup.peer.ask(16, u64s(9))).to.equal(0);
  });

  it('turns what the device throws into a refusal', () => {
    const handler = new RecordingHandler();
    handler.on.memory = () => {
      throw new Error('no thanks');
    };
    using setup = new RawSetup({ handler });
    negotiateRaw(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    expect(setup.peer.ask(37, payloadOf(FRONTEND_GOLDEN.ADD_MEM_REG), fds.numbers)).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_DEVICE');
    expect(setup.backend.closed).to.equal(false);
  });

  it('logs a flood of refusals ever more seldom', () => {
    using setup = new RawSetup();
    prelude(setup);
    for (let i = 0; i < 100; i++) {
      setup.peer.ask(8, u32s(0, 3));
    }
    // 8 in full, then number 16, 32 and 64.
    expect(setup.lines.length).to.equal(11);
  });

  it('serves a new connection after one that was broken, with the same device', () => {
    const handler = new RecordingHandler();
    {
      using setup = new RawSetup({ handler });
      prelude(setup);
      setup.peer.send(1, 2);
      expect(setup.peer.receiveHex()).to.equal('eof');
    }
    handler.take();
    using setup = new RawSetup({ handler });
    prelude(setup);
    expect(setup.peer.ask(3)).to.equal(0);
  });

  it('tells the device once, and releases all, when disposed twice', () => {
    using setup = new RawSetup();
    prelude(setup);
    setup.backend[Symbol.dispose]();
    setup.backend[Symbol.dispose]();
    expect(setup.handler.take()).to.deep.equal(['disconnected: closed by the back-end']);
    expect(setup.backend.memory.regions).to.deep.equal([]);
    expect(setup.peer.receiveHex()).to.equal('eof');
    expect(() => setup.backend.configChanged())
      .to.throw(VhostUserError)
      .with.property('code', 'ERR_VU_CLOSED');
  });

  it('releases all even when the device fails at every step of the end', () => {
    const handler = new RecordingHandler();
    using setup = new RawSetup({ handler });
    prelude(setup);
    using kick = new SentFds(setup.sys, ['event']);
    setup.peer.ask(12, u64s(0), kick.numbers);
    setup.peer.ask(18, u32s(0, 1));
    const fail = () => {
      throw new Error('device is broken');
    };
    handler.on = { stop: fail, suspended: fail };
    setup.peer.close();
    setup.settle();
    expect(handler.take().at(-1)).to.equal('disconnected: the front-end closed the connection');
    expect(setup.backend.running).to.equal(false);
    expect(setup.lines.filter((line) => line.startsWith('error')).length).to.equal(1);
  });

  it('closes the socket when it cannot start', () => {
    using setup = new RawSetup();
    const { sys, loop } = setup;
    const wrong: [(handler: RecordingHandler) => void, string][] = [
      [(handler) => (handler.shmRegions = [{ shmid: 0, size: 0x3000 }]), 'power of two'],
      [(handler) => (handler.features = FeatureSet.of(26, 32)), 'feature 26'],
      [(handler) => (handler.features = FeatureSet.of(32, 33)), 'feature 33'],
    ];
    for (const [change, text] of wrong) {
      const [ours, theirs] = socketPair(sys);
      const handler = new RecordingHandler();
      change(handler);
      const start = () => new BackendConnection({ sys, loop, socket: ours, profile: profiles.qemu, handler });
      expect(start).to.throw(RangeError, text);
      expect(ours.closed).to.equal(true);
      theirs.close();
    }
  });

  it('leaves memory alone after a refused table', () => {
    using setup = new RawSetup();
    negotiateRaw(setup);
    shareRaw(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    const tooLong = new Uint8Array([...u32s(1, 0), ...u64s(0x9000_0000, 0x40000, 0x7100_0000_0000, 0)]);
    expect(setup.peer.ask(5, tooLong, fds.numbers)).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_MEM_FILE');
    expect(setup.backend.memory.regions.map((region) => region.gpa)).to.deep.equal([0x4000_0000]);
  });
});
