import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  configureRaw,
  negotiateRaw,
  prelude,
  runningPrelude,
  SentFds,
  shareRaw,
  startRaw,
  USER,
  u32s,
  u64s,
  vringAddr,
} from './support/prelude.ts';
import { RawSetup } from './support/setup.ts';

const NUM = 8;
const ADDR = 9;
const BASE = 10;
const GET_BASE = 11;
const KICK = 12;
const CALL = 13;
const ERR = 14;
const ENABLE = 18;

describe('BackendConnection, rings', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const kick = (setup: RawSetup, index = 0): number => {
    using fds = new SentFds(setup.sys, ['event']);
    return setup.peer.ask(KICK, u64s(index), fds.numbers);
  };

  it('starts a ring when it has size, addresses, a kick and ENABLE, and hands all of it over', () => {
    using setup = new RawSetup();
    prelude(setup);
    expect(kick(setup)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal([]);
    expect(setup.backend.running).to.equal(false);
    expect(setup.peer.ask(ENABLE, u32s(0, 1))).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 5']);
    const { kickFd, ...rest } = setup.handler.rings.get(0)!;
    expect(rest).to.deep.equal({
      index: 0,
      size: 16,
      base: 5,
      desc: USER,
      avail: USER + 0x100,
      used: USER + 0x200,
      inflight: null,
      dirty: null,
    });
    expect(setup.sys.loop.eventfdSignal(kickFd)).to.equal(0);
    expect(setup.backend.running).to.equal(true);
  });

  it('starts at the kick where ENABLE came first', () => {
    using setup = new RawSetup();
    prelude(setup);
    setup.peer.ask(ENABLE, u32s(0, 1));
    expect(setup.handler.take()).to.deep.equal([]);
    kick(setup);
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 5']);
  });

  it('starts a ring without kick descriptor: it is to be polled', () => {
    using setup = new RawSetup();
    prelude(setup);
    setup.peer.ask(KICK, u64s(0x100));
    setup.peer.ask(ENABLE, u32s(0, 1));
    expect(setup.handler.rings.get(0)?.kickFd).to.equal(-1);
  });

  it('acks ENABLE for a ring that was never set up, without starting it', () => {
    using setup = new RawSetup();
    prelude(setup);
    expect(setup.peer.ask(ENABLE, u32s(1, 1))).to.equal(0);
    expect(setup.handler.take()).to.deep.equal([]);
  });

  it('starts all at SET_FEATURES without bit 30', () => {
    using setup = new RawSetup();
    setup.peer.send(2, 1, u64s(0x1_2000_0001));
    shareRaw(setup);
    configureRaw(setup);
    using fds = new SentFds(setup.sys, ['event']);
    setup.peer.send(KICK, 1, u64s(0), fds.numbers);
    setup.settle();
    expect(setup.handler.take()).to.deep.equal(['features 0x120000001', 'memory', 'resumed', 'start 0 base 5']);
  });

  it('stops at ENABLE 0 and remembers the place for GET_VRING_BASE and for ENABLE 1', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    setup.handler.bases.set(0, 42);
    expect(setup.peer.ask(ENABLE, u32s(0, 0))).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'suspended']);
    expect(setup.peer.ask(ENABLE, u32s(0, 1))).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 42']);
    setup.peer.ask(ENABLE, u32s(0, 0));
    setup.handler.take();
    setup.peer.send(GET_BASE, 1, u32s(0, 0));
    expect(Buffer.from(setup.peer.receive().payload).toString('hex')).to.equal('000000002a000000');
    expect(setup.handler.take()).to.deep.equal([]);
  });

  it('needs a new kick after GET_VRING_BASE', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    setup.peer.send(GET_BASE, 1, u32s(0, 0));
    setup.peer.receive();
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'suspended']);
    setup.peer.ask(ENABLE, u32s(0, 1));
    expect(setup.handler.take()).to.deep.equal([]);
    kick(setup);
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 5']);
  });

  it('says resumed before the first ring and suspended after the last', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    configureRaw(setup, 1);
    startRaw(setup, 1);
    setup.settle();
    expect(setup.handler.take()).to.deep.equal(['start 1 base 5']);
    setup.peer.ask(ENABLE, u32s(0, 0));
    expect(setup.handler.take()).to.deep.equal(['stop 0']);
    expect(setup.backend.running).to.equal(true);
    setup.peer.ask(ENABLE, u32s(1, 0));
    expect(setup.handler.take()).to.deep.equal(['stop 1', 'suspended']);
    expect(setup.backend.running).to.equal(false);
  });

  it('stops rings before it says disconnected', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    setup.peer.close();
    setup.settle();
    expect(setup.handler.take()).to.deep.equal([
      'stop 0',
      'suspended',
      'disconnected: the front-end closed the connection',
    ]);
  });

  it('takes a new kick for a running ring without suspending', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    setup.handler.bases.set(0, 9);
    using fds = new SentFds(setup.sys, ['event']);
    expect(setup.peer.ask(KICK, u64s(0), fds.numbers)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'start 0 base 9']);
    const now = setup.handler.rings.get(0)!.kickFd;
    setup.sys.loop.eventfdSignal(fds.numbers[0]!);
    expect(setup.sys.loop.eventfdDrain(now)).to.equal(1);
  });

  it('suspends when the device does not take a running ring back', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    setup.handler.on.start = () => {
      throw new Error('not again');
    };
    expect(kick(setup)).to.equal(1);
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'start 0 base 5', 'suspended']);
    expect(setup.backend.running).to.equal(false);
  });

  it('gives call descriptors at any time, and closes replaced ones', () => {
    using setup = new RawSetup();
    negotiateRaw(setup);
    using fds = new SentFds(setup.sys, ['event']);
    expect(setup.peer.ask(CALL, u64s(1), fds.numbers)).to.equal(0);
    expect(setup.peer.ask(CALL, u64s(1), fds.numbers)).to.equal(0);
    const fd = setup.handler.callFds.get(1)!;
    expect(setup.sys.loop.eventfdSignal(fd)).to.equal(0);
    expect(setup.sys.loop.eventfdDrain(fds.numbers[0]!)).to.equal(1);
    expect(setup.peer.ask(CALL, u64s(0x101))).to.equal(0);
    expect(setup.handler.callFds.get(1)).to.equal(-1);
    expect(setup.sys.loop.eventfdSignal(fd)).to.be.lessThan(0);
  });

  it('tells the err eventfd', () => {
    using setup = new RawSetup();
    negotiateRaw(setup);
    using fds = new SentFds(setup.sys, ['event']);
    setup.peer.ask(ERR, u64s(1), fds.numbers);
    setup.backend.ringError(1);
    setup.backend.ringError(0);
    expect(setup.sys.loop.eventfdDrain(fds.numbers[0]!)).to.equal(1);
    expect(() => setup.backend.ringError(2)).to.throw(RangeError);
  });

  it('makes a kick that would block non-blocking', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['event']);
    setup.sys.fd.setNonBlocking(fds.numbers[0]!, false);
    setup.peer.ask(KICK, u64s(0), fds.numbers);
    setup.peer.ask(ENABLE, u32s(0, 1));
    expect(setup.sys.fd.read(setup.handler.rings.get(0)!.kickFd, new Uint8Array(8), 8)).to.be.at.most(0);
  });

  for (const [name, id] of [
    ['KICK', KICK],
    ['CALL', CALL],
    ['ERR', ERR],
  ] as const) {
    it(`refuses a ${name} that is no eventfd: it would be written to, whatever it is`, () => {
      using setup = new RawSetup();
      prelude(setup);
      for (const kind of ['memory', 'socket'] as const) {
        using fds = new SentFds(setup.sys, [kind]);
        expect(setup.peer.ask(id, u64s(0), fds.numbers)).to.equal(1);
        expect(setup.lines.at(-1)).to.include('ERR_VU_DESCRIPTOR');
      }
    });
  }

  it('goes on with its old kick when a new one is refused', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    const { kickFd } = setup.handler.rings.get(0)!;
    using fds = new SentFds(setup.sys, ['memory']);
    expect(setup.peer.ask(KICK, u64s(0), fds.numbers)).to.equal(1);
    expect(setup.handler.take()).to.deep.equal([]);
    expect(setup.handler.rings.get(0)!.kickFd).to.equal(kickFd);
    expect(setup.sys.loop.eventfdSignal(kickFd)).to.equal(0);
  });

  it('accepts the same addresses again while the ring runs, and nothing else', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    expect(setup.peer.ask(ADDR, vringAddr(0, USER, USER + 0x200, USER + 0x100, 1))).to.equal(0);
    expect(setup.peer.ask(ADDR, vringAddr(0, USER, USER + 0x400, USER + 0x100))).to.equal(1);
    expect(setup.peer.ask(NUM, u32s(0, 16))).to.equal(0);
    expect(setup.peer.ask(NUM, u32s(0, 32))).to.equal(1);
    expect(setup.peer.ask(BASE, u32s(0, 0))).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_STATE');
    expect(setup.handler.take()).to.deep.equal([]);
  });

  it('keeps a ring disabled that the device refused, and starts it at the next try', () => {
    using setup = new RawSetup();
    prelude(setup);
    kick(setup);
    setup.handler.on.start = () => {
      throw new Error('not yet');
    };
    expect(setup.peer.ask(ENABLE, u32s(0, 1))).to.equal(1);
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 5', 'suspended']);
    expect(setup.backend.running).to.equal(false);
    setup.handler.on = {};
    expect(setup.peer.ask(ENABLE, u32s(0, 1))).to.equal(0);
    expect(setup.backend.running).to.equal(true);
  });

  it('refuses the start of a ring whose memory has gone', () => {
    using setup = new RawSetup();
    prelude(setup);
    setup.peer.ask(5, u32s(0, 0));
    setup.handler.take();
    expect(kick(setup)).to.equal(0);
    expect(setup.peer.ask(ENABLE, u32s(0, 1))).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_RING');
    expect(setup.handler.take()).to.deep.equal([]);
  });

  it('resets at RESET_DEVICE: rings stopped, disabled, unconfigured; call descriptors stay', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    using fds = new SentFds(setup.sys, ['event']);
    setup.peer.ask(CALL, u64s(0), fds.numbers);
    setup.handler.take();
    expect(setup.peer.ask(34)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'suspended', 'reset']);
    expect(kick(setup)).to.equal(1);
    expect(setup.lines.at(-1)).to.include('ERR_VU_STATE');
    expect(setup.sys.loop.eventfdSignal(setup.handler.callFds.get(0)!)).to.equal(0);
    configureRaw(setup);
    expect(kick(setup)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal([]);
    setup.peer.ask(ENABLE, u32s(0, 1));
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 5']);
  });

  it('stops and disables all at RESET_OWNER', () => {
    using setup = new RawSetup();
    runningPrelude(setup);
    expect(setup.peer.ask(4)).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['stop 0', 'suspended']);
    setup.peer.ask(ENABLE, u32s(0, 1));
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 5']);
  });
});
