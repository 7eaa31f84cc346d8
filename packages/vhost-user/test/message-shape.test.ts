import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { FRONTEND_MESSAGES, type MessageSpec } from '../src/index.ts';
import { bytesOf, FRONTEND_GOLDEN, payloadOf } from './support/golden.ts';
import { prelude, SentFds, u64s } from './support/prelude.ts';
import { reason, refusal } from './support/refusal.ts';
import { RawSetup } from './support/setup.ts';

/** Takes the refusal, where there is one, and then the end of the stream. */
function expectRefusalAndEnd(setup: RawSetup, spec: MessageSpec, asked: boolean): void {
  const told = refusal(spec, asked);
  if (told !== null) {
    expect(setup.peer.receiveHex()).to.equal(told);
  }
  expect(setup.peer.receiveHex()).to.equal('eof');
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
