import { EACCES, type Fd } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type FrontendConnection, type InflightArea, VhostUserError } from '../src/index.ts';
import { everything } from './support/everything.ts';
import { FrontendSetup } from './support/frontend-setup.ts';
import { bytesOf, FRONTEND_GOLDEN } from './support/golden.ts';
import { memfd, SentFds, u32s, u64s } from './support/prelude.ts';

const UUID = bytesOf('000102030405060708090a0b0c0d0e0f');

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const code = (error: Error | null) => (error === null ? 'none' : (error as VhostUserError).code);

describe('FrontendConnection, each message', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  type Call = (frontend: FrontendConnection, fd: number) => void;
  const nothing = () => {};
  const calls: [keyof typeof FRONTEND_GOLDEN, Call][] = [
    ['RESET_OWNER', (frontend) => frontend.resetOwner(nothing)],
    ['SET_LOG_FD', (frontend, fd) => frontend.setLogFd(fd, nothing)],
    ['SET_VRING_ERR', (frontend) => frontend.setRingError(1, -1, nothing)],
    ['SEND_RARP', (frontend) => frontend.net.sendRarp(bytesOf('525400123456'), nothing)],
    ['NET_SET_MTU', (frontend) => frontend.net.setMtu(1500, nothing)],
    ['SET_VRING_ENDIAN', (frontend) => frontend.setRingEndian(0, 'big', nothing)],
    [
      'IOTLB_MSG',
      (frontend) =>
        frontend.iotlb.update({ iova: 0x1_0000_0000, size: 0x1000, userAddr: 0x7000_0040_0000, perm: 3 }, nothing),
    ],
    ['CREATE_CRYPTO_SESSION', (frontend) => frontend.crypto.createSession(new Uint8Array(8), nothing)],
    ['CLOSE_CRYPTO_SESSION', (frontend) => frontend.crypto.closeSession(1, nothing)],
    ['POSTCOPY_ADVISE', (frontend) => frontend.postcopy.advise(nothing)],
    ['POSTCOPY_LISTEN', (frontend) => frontend.postcopy.listen(nothing)],
    ['POSTCOPY_END', (frontend) => frontend.postcopy.end(nothing)],
    ['GET_INFLIGHT_FD', (frontend) => frontend.getInflight(2, 0x80, nothing)],
    ['GPU_SET_SOCKET', (frontend, fd) => frontend.setGpuSocket(fd, nothing)],
    ['VRING_KICK', (frontend) => frontend.kickRing(0, nothing)],
    ['GET_MAX_MEM_SLOTS', (frontend) => frontend.getMaxMemorySlots(nothing)],
    ['GET_SHARED_OBJECT', (frontend) => frontend.getSharedObject(UUID, nothing)],
    ['SET_DEVICE_STATE_FD', (frontend) => frontend.loadState(Uint8Array.of(1), nothing)],
  ];
  for (const [name, call] of calls) {
    it(`sends ${name} as the specification has it`, () => {
      using setup = everything();
      using fds = new SentFds(setup.sys, ['event']);
      call(setup.frontend, fds.numbers[0]!);
      const got = setup.peer.receive();
      for (const fd of got.fds) {
        setup.sys.fd.close(fd);
      }
      const golden = FRONTEND_GOLDEN[name];
      expect(hex(u32s(got.id, got.flags, got.payload.length)) + hex(got.payload)).to.equal(
        hex(bytesOf(golden.request)),
      );
      expect(got.fds.length).to.equal(golden.fds?.length ?? 0);
    });

    it(`does not send ${name} before its feature is negotiated`, () => {
      using setup = new FrontendSetup();
      using fds = new SentFds(setup.sys, ['event']);
      const ungated = ['RESET_OWNER', 'SET_LOG_FD', 'SET_VRING_ERR', 'GPU_SET_SOCKET'].includes(name);
      call(setup.frontend, fds.numbers[0]!);
      const got = setup.peer.next();
      if (got !== null && got !== 'eof') {
        expect(ungated).to.equal(true);
        for (const fd of got.fds) {
          setup.sys.fd.close(fd);
        }
      } else {
        expect([got, ungated]).to.deep.equal([null, false]);
      }
    });
  }

  it('says which message was not sent, and why', () => {
    using setup = new FrontendSetup();
    setup.negotiate(0x41a629);
    let got: Error | null = null;
    setup.frontend.net.setMtu(1500, (error) => {
      got = error;
    });
    setup.settle();
    expect(got).to.be.instanceOf(VhostUserError).with.property('code', 'ERR_VU_GATE');
    expect(String(got)).to.include('NET_SET_MTU');
    expect(setup.peer.next()).to.equal(null);
  });

  it('refuses arguments that no message holds', () => {
    using setup = everything();
    const { frontend } = setup;
    expect(() => frontend.net.sendRarp(new Uint8Array(5), () => {})).to.throw(RangeError);
    expect(() => frontend.net.setMtu(65536, () => {})).to.throw(RangeError);
    expect(() => frontend.net.setMtu(-1, () => {})).to.throw(RangeError);
    expect(() => frontend.getSharedObject(new Uint8Array(15), () => {})).to.throw(RangeError);
  });

  it('invalidates a translation', () => {
    using setup = everything();
    let outcome = 'pending';
    setup.frontend.iotlb.invalidate(0x5000, 0x2000, (error) => {
      outcome = code(error);
    });
    const request = setup.peer.receive();
    expect(hex(request.payload)).to.equal(`${hex(u64s(0x5000, 0x2000, 0))}0103000000000000`);
    setup.peer.send(22, 5, u64s(0));
    setup.settle();
    expect(outcome).to.equal('none');
  });

  it('stops a ring without draining it', () => {
    using setup = everything();
    const outcomes: unknown[] = [];
    setup.frontend.suspendRing(1, (error, base) => outcomes.push(error, base));
    expect(setup.reply(u64s(0))).to.equal(18);
    expect(setup.reply(u32s(1, 9))).to.equal(45);
    expect(outcomes).to.deep.equal([null, 9]);
  });

  it('keeps the in-flight area for a later connection', () => {
    using setup = everything();
    let area: InflightArea | undefined;
    setup.frontend.getInflight(2, 128, (_error, got) => {
      area = got;
    });
    using file = memfd(setup.sys, 0x3000);
    setup.reply(new Uint8Array([...u64s(0x1000, 0x2000), 2, 0, 128, 0, 0, 0, 0, 0]), [file.fd]);
    using kept = area!;
    using second = everything();
    second.frontend.setInflight(kept, () => {});
    const sent = second.peer.receive();
    expect([sent.id, sent.fds.length]).to.deep.equal([32, 1]);
    expect(hex(sent.payload)).to.equal(`${hex(u64s(0x1000, 0x2000))}0200800000000000`);
    second.sys.fd.close(sent.fds[0]!);
  });

  type Ask = (frontend: FrontendConnection, done: (error: Error | null) => void) => void;
  const inflight: Ask = (frontend, done) =>
    frontend.getInflight(1, 16, (error, area) => {
      area?.[Symbol.dispose]();
      done(error);
    });
  const given = (fd: Fd | null | undefined) => fd?.close();
  const advise: Ask = (frontend, done) =>
    frontend.postcopy.advise((error, fd) => {
      given(fd);
      done(error);
    });
  const object: Ask = (frontend, done) =>
    frontend.getSharedObject(UUID, (error, fd) => {
      given(fd);
      done(error);
    });
  const save: Ask = (frontend, done) => frontend.saveState((error) => done(error));
  const inflightReply = (size: number | bigint, offset: number | bigint) =>
    new Uint8Array([...u64s(size, offset), ...u32s(0x10_0001, 0)]);
  const MAX = 0xffff_ffff_ffff_ffffn;
  const hostile: [string, Ask, Uint8Array, number, string][] = [
    ['GET_INFLIGHT_FD without memory', inflight, inflightReply(0, 0), 0, 'ERR_VU_REFUSED'],
    ['GET_INFLIGHT_FD without memory but with a descriptor', inflight, inflightReply(0, 0), 1, 'ERR_VU_REFUSED'],
    ['GET_INFLIGHT_FD without a descriptor', inflight, inflightReply(0x1000, 0), 0, 'ERR_VU_REPLY'],
    ['GET_INFLIGHT_FD with a huge size', inflight, inflightReply(MAX, 0), 1, 'ERR_VU_REPLY'],
    ['GET_INFLIGHT_FD with a huge offset', inflight, inflightReply(0x1000, 2 ** 60), 1, 'ERR_VU_REPLY'],
    [
      'GET_INFLIGHT_FD with a sum that no number holds',
      inflight,
      inflightReply(2 ** 52, 2 ** 53 - 1),
      1,
      'ERR_VU_REPLY',
    ],
    ['POSTCOPY_ADVISE without a descriptor', advise, new Uint8Array(0), 0, 'ERR_VU_REPLY'],
    ['POSTCOPY_ADVISE with a descriptor', advise, new Uint8Array(0), 1, 'none'],
    ['GET_SHARED_OBJECT without a descriptor', object, new Uint8Array(0), 0, 'none'],
    ['GET_SHARED_OBJECT with a descriptor', object, new Uint8Array(0), 1, 'none'],
    ['GET_STATUS of nine bits', (frontend, done) => frontend.getStatus(done), u64s(0x100), 0, 'ERR_VU_REPLY'],
    ['GET_STATUS', (frontend, done) => frontend.getStatus(done), u64s(0xff), 0, 'none'],
    ['GET_MAX_MEM_SLOTS of none', (frontend, done) => frontend.getMaxMemorySlots(done), u64s(0), 0, 'ERR_VU_REPLY'],
    [
      'GET_MAX_MEM_SLOTS of too many',
      (frontend, done) => frontend.getMaxMemorySlots(done),
      u64s(MAX),
      0,
      'ERR_VU_REPLY',
    ],
    ['GET_MAX_MEM_SLOTS', (frontend, done) => frontend.getMaxMemorySlots(done), u64s(509), 0, 'none'],
    ['POSTCOPY_END that fails', (frontend, done) => frontend.postcopy.end(done), u64s(1), 0, 'ERR_VU_REFUSED'],
    [
      'IOTLB_MSG that fails',
      (frontend, done) => frontend.iotlb.invalidate(0, 1, done),
      u64s(BigInt.asUintN(64, BigInt(-EACCES))),
      0,
      'ERR_VU_REFUSED',
    ],
    [
      'CREATE_CRYPTO_SESSION of another size',
      (frontend, done) => frontend.crypto.createSession(new Uint8Array(8), done),
      new Uint8Array(9),
      0,
      'ERR_VU_REPLY',
    ],
    [
      'CREATE_CRYPTO_SESSION',
      (frontend, done) => frontend.crypto.createSession(new Uint8Array(8), done),
      new Uint8Array(8),
      0,
      'none',
    ],
    ['SET_DEVICE_STATE_FD with an error', save, u64s(0x101), 0, 'ERR_VU_REFUSED'],
    ['SET_DEVICE_STATE_FD that promises a descriptor', save, u64s(0), 0, 'ERR_VU_REPLY'],
    ['SET_DEVICE_STATE_FD with a descriptor too many', save, u64s(0x100), 1, 'ERR_VU_REPLY'],
    ['SET_DEVICE_STATE_FD with its own descriptor', save, u64s(0), 1, 'ERR_VU_UNSUPPORTED'],
  ];
  for (const [what, call, payload, fds, outcome] of hostile) {
    it(`takes ${what} for ${outcome === 'none' ? 'an answer' : outcome}`, () => {
      using setup = everything();
      let got = 'pending';
      call(setup.frontend, (error) => {
        got = code(error);
      });
      using sent = new SentFds(setup.sys, fds === 0 ? [] : ['memory']);
      setup.reply(payload, sent.numbers);
      expect(got).to.equal(outcome);
      expect(setup.frontend.closed).to.equal(false);
    });
  }

  it('refuses the base of another ring', () => {
    using setup = everything();
    let got = '';
    setup.frontend.stopRing(0, (error) => {
      got = code(error);
    });
    setup.reply(u64s(0));
    setup.reply(u32s(1, 5));
    expect(got).to.equal('ERR_VU_REPLY');
  });

  for (const count of [0, 0x10000, 2 ** 60]) {
    it(`refuses ${count} queues`, () => {
      using setup = new FrontendSetup();
      let got = '';
      setup.frontend.negotiate(
        { features: setup.frontend.features, protocolFeatures: setup.frontend.features.with(0) },
        (error) => {
          got = code(error);
        },
      );
      setup.peer.receive();
      setup.reply(u64s(0x4000_0000));
      setup.reply(u64s(1));
      setup.peer.receive();
      setup.reply(u64s(count));
      expect(got).to.equal('ERR_VU_REPLY');
    });
  }

  it('leaves the memory table alone while postcopy listens', () => {
    using setup = everything();
    const outcomes: string[] = [];
    setup.frontend.postcopy.listen((error) => outcomes.push(code(error)));
    setup.reply(u64s(0));
    setup.frontend.setMemoryTable([], (error) => outcomes.push(code(error)));
    setup.settle();
    setup.frontend.postcopy.end((error) => outcomes.push(code(error)));
    setup.reply(u64s(0));
    setup.frontend.setMemoryTable([], (error) => outcomes.push(code(error)));
    expect(setup.reply(u64s(0))).to.equal(5);
    expect(outcomes).to.deep.equal(['none', 'ERR_VU_STATE', 'none', 'none']);
  });

  it('refuses a back-end that lacks what is needed, before accepting anything', () => {
    using setup = new FrontendSetup();
    const need = setup.frontend.features.with(32, 34);
    let got = '';
    setup.frontend.negotiate(
      { features: need, protocolFeatures: need, needs: { features: need, protocolFeatures: setup.frontend.features } },
      (error) => {
        got = String(error);
      },
    );
    setup.peer.receive();
    setup.reply(u64s(0x1_4000_0000));
    setup.reply(u64s(0));
    expect(got).to.include('ERR_VU_FEATURES').and.include('0x400000000');
    expect(setup.peer.next()).to.equal(null);
  });
});
