import { BlockingLoop, EMFILE, EPIPE, type Fd, openSys, type Pointer, type RecvResult, type Sys } from '@oriel/sys';
import { leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { Channel } from '../src/channel.ts';
import type { VhostUserError } from '../src/index.ts';
import type { IncomingMessage } from '../src/message-reader.ts';
import { prelude, SentFds, u64s } from './support/prelude.ts';
import { RawPeer } from './support/raw-peer.ts';
import { MockSetup, RawSetup, socketPair } from './support/setup.ts';

/** A system whose sockets take and give at most so many bytes a call. */
function dripping(sendMax: number, receiveMax: number, real: Sys = openSys()): Sys {
  return mockSys(
    {
      socket: {
        sendmsg: (fd: number, from: Pointer, len: number, fds: Int32Array | null, count: number) =>
          real.socket.sendmsg(fd, from, Math.min(len, sendMax), fds, count),
        recvmsg: (fd: number, to: Pointer, len: number, result: RecvResult) =>
          real.socket.recvmsg(fd, to, Math.min(len, receiveMax), result),
      },
    },
    real,
  );
}

/** One channel with bytes at its other end. */
class ChannelSetup implements Disposable {
  readonly loop: BlockingLoop;
  readonly channel: Channel;
  readonly peer: RawPeer;
  readonly socket: Fd;
  /** 'id:payload:fds' of what came. */
  readonly messages: string[] = [];
  readonly ends: (VhostUserError | null)[] = [];
  onMessage: (message: IncomingMessage) => void = () => {};

  constructor(options: { sys: Sys; whileSending?: 'pause' | 'read' } = { sys: openSys() }) {
    const { sys, whileSending } = options;
    this.loop = new BlockingLoop(sys);
    const [ours, theirs] = socketPair(sys);
    this.socket = theirs;
    this.peer = new RawPeer(openSys(), theirs, () => this.settle());
    this.channel = new Channel({
      sys,
      loop: this.loop,
      socket: ours,
      name: 'main',
      peer: 'frontend',
      whileSending: whileSending ?? 'read',
      onMessage: (message) => {
        const payload = Buffer.from(message.bytes.subarray(0, message.size)).toString('hex');
        this.messages.push(`${message.id}:${payload}:${message.fds.count}`);
        this.onMessage(message);
      },
      onClose: (error) => this.ends.push(error),
    });
  }

  settle(): void {
    while (this.loop.runOnce(0) > 0);
  }

  [Symbol.dispose](): void {
    this.channel[Symbol.dispose]();
    this.socket.close();
    this.loop[Symbol.dispose]();
  }
}

describe('Channel', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  it('speaks one byte at a time in both directions, a whole session long', () => {
    using setup = new MockSetup({ sys: dripping(1, 1) });
    const { mock, backend } = setup;
    mock.connect();
    mock.startRing(0);
    expect(backend.running).to.equal(true);
    expect(backend.memory.regions.length).to.equal(1);
    expect(mock.frontend.shmRegions.length).to.equal(1);
    expect(mock.stopRing(0)).to.equal(0);
  });

  it('puts a message together from single bytes, descriptors with the first', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['event']);
    const bytes = new Uint8Array([...new Uint8Array(Uint32Array.of(13, 9, 8).buffer), ...u64s(1)]);
    for (const [index, byte] of bytes.entries()) {
      expect(setup.peer.receiveHex()).to.equal('null');
      setup.peer.sendBytes(Uint8Array.of(byte), index === 0 ? fds.numbers : []);
    }
    expect(setup.peer.receive().id).to.equal(13);
    expect(setup.handler.callFds.has(1)).to.equal(true);
  });

  it('keeps messages apart that came in one piece', () => {
    using setup = new ChannelSetup();
    const one = [...new Uint8Array(Uint32Array.of(7, 1, 2).buffer), 0xaa, 0xbb];
    setup.peer.sendBytes(new Uint8Array([...one, ...one, ...one.slice(0, 13)]));
    setup.settle();
    expect(setup.messages).to.deep.equal(['7:aabb:0', '7:aabb:0']);
    setup.peer.sendBytes(Uint8Array.of(0xcc));
    setup.settle();
    expect(setup.messages.at(-1)).to.equal('7:aacc:0');
  });

  it('owns descriptors at once: those not taken are closed after the message', () => {
    using setup = new ChannelSetup();
    using fds = new SentFds(openSys(), ['event', 'event', 'event']);
    const taken: Fd[] = [];
    setup.onMessage = (message) => {
      taken.push(message.fds.take(1));
      expect(() => message.fds.take(1)).to.throw(RangeError);
      expect(() => message.fds.take(3)).to.throw(RangeError);
    };
    setup.peer.send(1, 1, [], fds.numbers);
    setup.settle();
    openSys().loop.eventfdSignal(taken[0]!.fd);
    expect(openSys().loop.eventfdDrain(fds.numbers[1]!)).to.equal(1);
    taken[0]!.close();
  });

  it('closes the descriptors of a message that never became whole', () => {
    using setup = new ChannelSetup();
    using fds = new SentFds(openSys(), ['event', 'memory']);
    setup.peer.sendBytes(Uint8Array.of(1, 0, 0), fds.numbers);
    setup.settle();
    expect(setup.messages).to.deep.equal([]);
  });

  it('sends header, payload and descriptors in one piece', () => {
    const sys = mockSys();
    using setup = new ChannelSetup({ sys });
    using fds = new SentFds(openSys(), ['event', 'event']);
    setup.channel.send(9, 0x9, Uint8Array.of(1, 2, 3), fds.numbers);
    expect(sys.count('socket.sendmsg')).to.equal(1);
    const message = setup.peer.receive();
    expect([message.id, message.flags, [...message.payload], message.fds.length]).to.deep.equal([9, 9, [1, 2, 3], 2]);
    for (const fd of message.fds) {
      openSys().fd.close(fd);
    }
  });

  it('queues what a full socket does not take, descriptors and all, and sends it in order later', () => {
    using setup = new ChannelSetup();
    using fds = new SentFds(openSys(), ['event']);
    const payload = new Uint8Array(4096);
    let sent = 0;
    for (; sent < 2000; sent++) {
      new DataView(payload.buffer).setUint32(0, sent, true);
      setup.channel.send(sent, 1, payload, sent % 100 === 0 ? fds.numbers : []);
    }
    let received = 0;
    for (let message = setup.peer.next(); message !== null && message !== 'eof'; message = setup.peer.next()) {
      expect(message.id).to.equal(received);
      expect(message.fds.length).to.equal(received % 100 === 0 ? 1 : 0);
      for (const fd of message.fds) {
        openSys().fd.close(fd);
      }
      received++;
    }
    expect(received).to.equal(sent);
  });

  it('closes queued descriptors when it is disposed', () => {
    using setup = new ChannelSetup();
    using fds = new SentFds(openSys(), ['event']);
    for (let sent = 0; sent < 1000; sent++) {
      setup.channel.send(sent, 1, new Uint8Array(4096), fds.numbers);
    }
    expect(setup.messages).to.deep.equal([]);
  });

  it('sleeps while the socket is full, and while nothing is there', () => {
    const sys = mockSys();
    using setup = new ChannelSetup({ sys });
    for (let sent = 0; sent < 1000; sent++) {
      setup.channel.send(sent, 1, new Uint8Array(4096));
    }
    setup.settle();
    expect(setup.loop.runOnce(0)).to.equal(0);
    sys.reset();
    expect(setup.loop.runOnce(0)).to.equal(0);
    expect(sys.count('socket.sendmsg') + sys.count('socket.recvmsg')).to.equal(0);
  });

  for (const [mode, expected] of [
    ['pause', 0],
    ['read', 1],
  ] as const) {
    it(`in mode '${mode}' reads ${expected === 0 ? 'nothing' : 'on'} while the peer does not take what was sent`, () => {
      using setup = new ChannelSetup({ sys: openSys(), whileSending: mode });
      for (let sent = 0; sent < 1000; sent++) {
        setup.channel.send(sent, 1, new Uint8Array(4096));
      }
      setup.peer.send(5, 1);
      setup.settle();
      expect(setup.messages.length).to.equal(expected);
      while (setup.peer.next() !== null);
      expect(setup.messages).to.deep.equal(['5::0']);
    });
  }

  it('bounds a turn: a flood leaves room for others', () => {
    using setup = new ChannelSetup();
    for (let sent = 0; sent < 100; sent++) {
      setup.peer.send(sent, 1);
    }
    setup.loop.runOnce(0);
    expect(setup.messages.length).to.equal(32);
    setup.settle();
    expect(setup.messages.length).to.equal(100);
  });

  it('reads the last words of a peer that left before it says that sending failed', () => {
    using setup = new ChannelSetup();
    setup.peer.send(3, 1);
    setup.peer.close();
    setup.channel.send(1, 1, null);
    setup.settle();
    expect(setup.messages).to.deep.equal(['3::0']);
    expect(setup.ends).to.deep.equal([null]);
  });

  it('says once that the socket is broken', () => {
    const sys = mockSys();
    using setup = new ChannelSetup({ sys });
    sys.failNext('socket.sendmsg', EPIPE);
    setup.channel.send(1, 1, null);
    setup.channel.send(2, 1, null);
    setup.settle();
    setup.channel.send(3, 1, null);
    expect(setup.ends.map((error) => error?.code)).to.deep.equal(['ERR_VU_SOCKET']);
    expect(setup.channel.closed).to.equal(true);
  });

  it('ends when descriptors cannot be kept for later', () => {
    const sys = mockSys();
    using setup = new ChannelSetup({ sys });
    using fds = new SentFds(openSys(), ['event', 'event']);
    for (let sent = 0; sent < 1000; sent++) {
      setup.channel.send(sent, 1, new Uint8Array(4096));
    }
    sys.failNext('fd.dup', EMFILE, 1, 1);
    setup.channel.send(1, 1, null, fds.numbers);
    setup.settle();
    expect(setup.ends.map((error) => error?.code)).to.deep.equal(['ERR_VU_SOCKET']);
  });

  it('refuses to send more than a payload may have', () => {
    using setup = new ChannelSetup();
    expect(() => setup.channel.send(1, 1, new Uint8Array(4097))).to.throw(RangeError);
  });

  it('may be disposed by its own message', () => {
    using setup = new ChannelSetup();
    setup.onMessage = () => setup.channel[Symbol.dispose]();
    setup.peer.send(1, 1);
    setup.peer.send(2, 1);
    setup.settle();
    expect(setup.messages).to.deep.equal(['1::0']);
    expect(setup.ends).to.deep.equal([]);
  });
});
