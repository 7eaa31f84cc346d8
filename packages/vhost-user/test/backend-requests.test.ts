/** What the back-end asks of the front-end beside mappings: notifications in band, and shared objects. */
import { EOPNOTSUPP, type Fd, type Fd as FdType } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { prelude, SentFds, startRaw, u32s, u64s } from './support/prelude.ts';
import { RawPeer } from './support/raw-peer.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { RawSetup, socketPair } from './support/setup.ts';

const REPLY_ACK = 1 << 3;
const BACKEND_REQ = 1 << 5;
const INBAND = 1 << 14;
const HOST_NOTIFIER = 1 << 11;
const SHARED_OBJECT = 1 << 18;
const VRING_KICK = 35;
const GET_OBJECT = 41;
const UUID = Uint8Array.from({ length: 16 }, (_, index) => index);
const UUID_HEX = Buffer.from(UUID).toString('hex');

class TalkingHandler extends RecordingHandler {
  readonly inband = true;
  readonly hostNotifier = true;
  readonly objects = new Map<string, () => FdType>();

  kicked(index: number): void {
    this.calls.push(`kicked ${index}`);
  }

  sharedObject(uuid: Uint8Array): FdType | null {
    return this.objects.get(Buffer.from(uuid).toString('hex'))?.() ?? null;
  }
}

class TalkSetup extends RawSetup {
  readonly talking: TalkingHandler;
  readonly back: RawPeer;
  readonly #socket: Fd;

  constructor(features = REPLY_ACK | BACKEND_REQ | HOST_NOTIFIER | INBAND | SHARED_OBJECT) {
    const handler = new TalkingHandler();
    super({ handler });
    this.talking = handler;
    prelude(this);
    this.peer.send(16, 1, u64s(features));
    const [ours, theirs] = socketPair(this.sys);
    this.#socket = ours;
    this.peer.send(21, 1, [], [theirs.fd]);
    this.settle();
    theirs.close();
    this.back = new RawPeer(this.sys, ours, () => this.settle());
  }

  /** Ring 0 runs. */
  run(): this {
    startRaw(this);
    this.settle();
    this.handler.take();
    return this;
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#socket.close();
  }
}

describe('BackendConnection, in-band notifications', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('starts a ring at VRING_KICK, and hands kicks on', () => {
    using setup = new TalkSetup();
    setup.peer.ask(18, u32s(0, 1));
    expect(setup.peer.ask(VRING_KICK, u32s(0, 0))).to.equal(0);
    expect(setup.handler.take()).to.deep.equal(['resumed', 'start 0 base 5', 'kicked 0']);
    expect(setup.handler.rings.get(0)!.kickFd).to.equal(-1);
    setup.peer.ask(VRING_KICK, u32s(0, 0));
    expect(setup.handler.take()).to.deep.equal(['kicked 0']);
  });

  it('refuses kicks of rings that are not there or not set up', () => {
    using setup = new TalkSetup();
    for (const [index, code] of [
      [2, 'ERR_VU_INDEX'],
      [0x100, 'ERR_VU_INDEX'],
      [1, 'ERR_VU_STATE'],
    ] as const) {
      expect(setup.peer.ask(VRING_KICK, u32s(index, 0))).to.equal(1);
      expect(setup.lines.at(-1)).to.include(code);
    }
  });

  it('calls by VRING_CALL, once for what happens before the answer', () => {
    using setup = new TalkSetup().run();
    for (let count = 0; count < 3; count++) setup.backend.sendCall(0);
    expect(setup.back.receiveHex()).to.equal('0400000009000000080000000000000000000000');
    expect(setup.back.receiveHex()).to.equal('null');
    setup.backend.sendCall(0);
    setup.back.send(4, 5, u64s(0));
    expect(setup.back.receiveHex()).to.equal('0400000009000000080000000000000000000000');
    setup.back.send(4, 5, u64s(0));
    expect(setup.back.receiveHex()).to.equal('null');
  });

  it('calls by the eventfd where there is one', () => {
    using setup = new TalkSetup().run();
    using event = new SentFds(setup.sys, ['event']);
    setup.peer.ask(13, u64s(0), event.numbers);
    setup.backend.sendCall(0);
    expect(setup.back.receiveHex()).to.equal('null');
    expect(setup.sys.loop.eventfdDrain(event.numbers[0]!)).to.equal(1);
    expect(() => setup.backend.sendCall(2)).to.throw(RangeError);
  });

  it('tells of a broken ring by VRING_ERR', () => {
    using setup = new TalkSetup().run();
    setup.backend.ringError(0);
    expect(setup.back.receiveHex()).to.equal('0500000009000000080000000000000000000000');
  });

  it('keeps a call that was not sent for the next start', () => {
    using setup = new TalkSetup();
    setup.backend.sendCall(1);
    expect(setup.back.receiveHex()).to.equal('null');
    setup.run();
    expect(setup.back.receiveHex()).to.equal('0400000009000000080000000100000000000000');
  });

  for (const [what, features] of [
    ['without BACKEND_REQ', INBAND | REPLY_ACK],
    ['without REPLY_ACK', INBAND | BACKEND_REQ],
  ] as const) {
    it(`closes when it is accepted ${what}`, () => {
      using setup = new RawSetup({ handler: new TalkingHandler() });
      setup.peer.send(16, 1, u64s(features));
      expect(setup.peer.receiveHex()).to.equal('eof');
      expect(setup.handler.calls.at(-1)).to.include('ERR_VU_INBAND');
    });
  }
});

describe('BackendConnection, shared objects', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('gives an object of the device, with the descriptor on the reply', () => {
    using setup = new TalkSetup();
    using file = new SentFds(setup.sys, ['memory']);
    setup.talking.objects.set(UUID_HEX, () => file.fds[0]!.dup());
    setup.peer.send(GET_OBJECT, 1, UUID);
    const reply = setup.peer.receive();
    expect([reply.id, reply.flags, reply.payload.length, reply.fds.length]).to.deep.equal([GET_OBJECT, 5, 0, 1]);
    setup.sys.fd.close(reply.fds[0]!);
  });

  it('has no descriptor for what it does not know, or where the UUID was left out', () => {
    using setup = new TalkSetup();
    for (const uuid of [UUID, new Uint8Array(0)]) {
      setup.peer.send(GET_OBJECT, 1, uuid);
      const reply = setup.peer.receive();
      expect([reply.payload.length, reply.fds.length]).to.deep.equal([0, 0]);
    }
  });

  it('adds, removes and looks up', () => {
    using setup = new TalkSetup().run();
    const { sharedObjects } = setup.backend;
    const outcomes: unknown[] = [];
    sharedObjects.add(UUID, (error) => outcomes.push(error));
    sharedObjects.remove(UUID, (error) => outcomes.push(error));
    expect(setup.back.receiveHex()).to.equal(`060000000900000010000000${UUID_HEX}`);
    setup.back.send(6, 5, u64s(0));
    expect(setup.back.receiveHex()).to.equal(`070000000900000010000000${UUID_HEX}`);
    setup.back.send(7, 5, u64s(1));
    setup.settle();
    expect(outcomes).to.deep.equal([0, -5]);
    using file = new SentFds(setup.sys, ['memory']);
    const found: (FdType | null)[] = [];
    for (const [value, fds] of [
      [0, file.numbers],
      [1, file.numbers],
      [1, []],
      [0, []],
    ] as const) {
      sharedObjects.lookup(UUID, (fd) => found.push(fd));
      expect(setup.back.receiveHex()).to.equal(`080000000900000010000000${UUID_HEX}`);
      setup.back.send(8, 5, u64s(value), [...fds]);
      setup.settle();
    }
    expect(found.map((fd) => fd !== null)).to.deep.equal([true, false, false, false]);
    found[0]!.close();
  });

  it('asks nothing before rings run, and nothing that was not negotiated', () => {
    using setup = new TalkSetup();
    const outcomes: unknown[] = [];
    setup.backend.sharedObjects.add(UUID, (error) => outcomes.push(error));
    expect(setup.back.receiveHex()).to.equal('null');
    setup.run();
    expect(setup.back.receive().id).to.equal(6);
    using without = new TalkSetup(REPLY_ACK | BACKEND_REQ).run();
    without.backend.sharedObjects.add(UUID, (error) => outcomes.push(error));
    without.backend.sharedObjects.lookup(UUID, (fd) => outcomes.push(fd));
    without.settle();
    expect(outcomes).to.deep.equal([-EOPNOTSUPP, null]);
    expect(() => without.backend.sharedObjects.add(new Uint8Array(15), () => {})).to.throw(RangeError);
  });

  it('ends at an answer with two descriptors, and closes them', () => {
    using setup = new TalkSetup().run();
    const outcomes: unknown[] = [];
    setup.backend.sharedObjects.lookup(UUID, (fd) => outcomes.push(fd));
    setup.back.receive();
    using files = new SentFds(setup.sys, ['memory', 'memory']);
    setup.back.send(8, 5, u64s(0), files.numbers);
    setup.settle();
    expect(setup.backend.closed).to.equal(true);
    expect(outcomes).to.deep.equal([null]);
  });
});

describe('BackendConnection, host notifiers', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('gives a page of the device to a ring, and takes it away', () => {
    using setup = new TalkSetup().run();
    using file = new SentFds(setup.sys, ['memory']);
    const outcomes: number[] = [];
    const page = { fd: file.numbers[0]!, size: 0x1000, offset: 0x2000 };
    setup.backend.setHostNotifier(1, page, (error) => outcomes.push(error));
    const given = setup.back.receive();
    expect([given.id, given.flags, given.fds.length]).to.deep.equal([3, 9, 1]);
    expect([...given.payload]).to.deep.equal([...u64s(1, 0x1000, 0x2000)]);
    setup.sys.fd.close(given.fds[0]!);
    setup.back.send(3, 5, u64s(0));
    setup.backend.setHostNotifier(1, null, (error) => outcomes.push(error));
    expect([...setup.back.receive().payload]).to.deep.equal([...u64s(0x101, 0, 0)]);
    setup.back.send(3, 5, u64s(1));
    setup.settle();
    expect(outcomes).to.deep.equal([0, -5]);
  });

  it('is not asked for where it was not negotiated, nor for what is not there', () => {
    using setup = new TalkSetup(REPLY_ACK | BACKEND_REQ).run();
    const outcomes: number[] = [];
    setup.backend.setHostNotifier(0, null, (error) => outcomes.push(error));
    setup.settle();
    expect(outcomes).to.deep.equal([-EOPNOTSUPP]);
    const set = (index: number, size: number, offset: number) => () =>
      setup.backend.setHostNotifier(index, { fd: 0, size, offset }, () => {});
    for (const wrong of [set(2, 0x1000, 0), set(-1, 0x1000, 0), set(0, 0, 0), set(0, 0x800, 0), set(0, 0x1000, 1)]) {
      expect(wrong).to.throw(RangeError);
    }
  });
});
