import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  BackendConnection,
  FeatureSet,
  FRONTEND_MESSAGES,
  type MessageSpec,
  profiles,
  VhostUserError,
} from '../src/index.ts';
import { bytesOf, FRONTEND_GOLDEN, payloadOf } from './support/golden.ts';
import { negotiateRaw, prelude, SentFds, shareRaw, u32s, u64s } from './support/prelude.ts';
import { RecordingHandler } from './support/recording-handler.ts';
import { type BackendSetup, RawSetup, socketPair } from './support/setup.ts';

/** The payload with which a message says no, as hex of a whole reply; null: it has no way to say it. */
function refusal(spec: MessageSpec, asked: boolean): string | null {
  const own = spec.reply === 'ack' ? null : spec.reply.refusal;
  if (spec.reply === 'ack' ? !asked : own === null || (own.onlyIfAsked && !asked)) {
    return null;
  }
  const payload = own === null ? u64s(1) : own.payload;
  return Buffer.from([...u32s(spec.id, 5, payload.length), ...payload]).toString('hex');
}

/** Takes the refusal, where there is one, and then the end of the stream. */
function expectRefusalAndEnd(setup: RawSetup, spec: MessageSpec, asked: boolean): void {
  const told = refusal(spec, asked);
  if (told !== null) {
    expect(setup.peer.receiveHex()).to.equal(told);
  }
  expect(setup.peer.receiveHex()).to.equal('eof');
}

/** The code in the reason that the device was told. */
function reason(setup: BackendSetup): string {
  const last = setup.handler.calls.at(-1) ?? '';
  return /ERR_VU_\w+/.exec(last)?.[0] ?? last;
}

describe('BackendConnection, message shape', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  for (const spec of FRONTEND_MESSAGES) {
    const golden = FRONTEND_GOLDEN[spec.name];
    const payload = payloadOf(golden);
    if (spec.name !== 'CREATE_CRYPTO_SESSION') {
      it(`closes at ${spec.name} with a byte too many, telling it where an ack was wanted`, () => {
        using setup = new RawSetup();
        prelude(setup);
        using fds = new SentFds(setup.sys, golden.fds ?? []);
        setup.peer.send(spec.id, 9, new Uint8Array([...payload, 0]), fds.numbers);
        expectRefusalAndEnd(setup, spec, true);
        expect(reason(setup)).to.equal('ERR_VU_SIZE');
      });
    }
    if (payload.length > 0 && spec.name !== 'CREATE_CRYPTO_SESSION') {
      it(`closes at ${spec.name} with a byte too few`, () => {
        using setup = new RawSetup();
        prelude(setup);
        using fds = new SentFds(setup.sys, golden.fds ?? []);
        setup.peer.send(spec.id, 1, payload.subarray(0, -1), fds.numbers);
        expectRefusalAndEnd(setup, spec, false);
        expect(reason(setup)).to.equal('ERR_VU_SIZE');
      });
    }
    it(`closes at ${spec.name} with a descriptor too many`, () => {
      using setup = new RawSetup();
      prelude(setup);
      const extra = spec.name === 'REM_MEM_REG' ? (['event', 'event'] as const) : (['event'] as const);
      using fds = new SentFds(setup.sys, [...(golden.fds ?? []), ...extra]);
      setup.peer.send(spec.id, 1, payload, fds.numbers);
      expectRefusalAndEnd(setup, spec, false);
      expect(reason(setup)).to.equal('ERR_VU_FDS');
    });
    if (golden.fds !== undefined) {
      it(`closes at ${spec.name} without its descriptor`, () => {
        using setup = new RawSetup();
        prelude(setup);
        setup.peer.send(spec.id, 1, payload);
        expectRefusalAndEnd(setup, spec, false);
        expect(reason(setup)).to.equal('ERR_VU_FDS');
      });
    }
  }

  for (const [what, flags, size, code] of [
    ['of version 0', 0, 0, 'ERR_VU_VERSION'],
    ['of version 2', 2, 0, 'ERR_VU_VERSION'],
    ['with reserved flags', 0x11, 0, 'ERR_VU_FLAGS'],
    ['with the top flag', 0x8000_0001, 0, 'ERR_VU_FLAGS'],
    ['that is a reply', 5, 0, 'ERR_VU_FLAGS'],
    ['of 4097 bytes', 1, 4097, 'ERR_VU_TOO_LARGE'],
    ['of 4 GiB', 9, 0xffff_ffff, 'ERR_VU_TOO_LARGE'],
  ] as const) {
    it(`closes at a header ${what}`, () => {
      using setup = new RawSetup();
      prelude(setup);
      setup.peer.send(1, flags, [], [], size);
      expect(setup.peer.receiveHex()).to.equal('eof');
      expect(reason(setup)).to.equal(code);
    });
  }

  for (const id of [0, 46, 1000, 1004, 0xffff_ffff]) {
    it(`refuses the unknown message ${id}, then closes`, () => {
      using setup = new RawSetup();
      prelude(setup);
      using fds = new SentFds(setup.sys, ['event', 'memory']);
      expect(setup.peer.ask(id, u64s(1), fds.numbers)).to.equal(1);
      expect(setup.peer.receiveHex()).to.equal('eof');
      expect(reason(setup)).to.equal('ERR_VU_UNKNOWN');
      expect(setup.lines.join()).to.include('ERR_VU_UNKNOWN');
    });
  }

  it('closes when the stream ends inside a message', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    setup.peer.sendBytes(bytesOf('25000000 09'), fds.numbers);
    setup.settle();
    setup.peer.close();
    setup.settle();
    expect(reason(setup)).to.equal('ERR_VU_EOF');
  });

  it('closes when descriptors come after the first byte of their message', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['memory']);
    setup.peer.sendBytes(bytesOf('25000000'));
    setup.settle();
    setup.peer.sendBytes(bytesOf('01000000 28000000'), fds.numbers);
    expect(setup.peer.receiveHex()).to.equal('eof');
    expect(reason(setup)).to.equal('ERR_VU_FDS');
  });

  it('closes when the kernel lost descriptors', () => {
    using setup = new RawSetup();
    prelude(setup);
    using fds = new SentFds(setup.sys, ['event']);
    setup.peer.send(
      12,
      1,
      u64s(0),
      Array.from({ length: 64 }, () => fds.numbers[0]!),
    );
    expect(setup.peer.receiveHex()).to.equal('eof');
    expect(reason(setup)).to.equal('ERR_VU_FDS_LOST');
  });
});

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
