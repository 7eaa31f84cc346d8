import { EACCES } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { FRONTEND_MESSAGES, type FrontendConnection, VhostUserError } from '../src/index.ts';
import { FrontendSetup } from './support/frontend-setup.ts';
import { bare, FRONTEND_GOLDEN, payloadOf } from './support/golden.ts';
import { memfd, PROTOCOL_FEATURES, SentFds, u32s, u64s } from './support/prelude.ts';

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

describe('FrontendConnection', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  describe('encodes', () => {
    for (const spec of FRONTEND_MESSAGES) {
      it(`${spec.name} as the specification has it`, () => {
        using setup = new FrontendSetup();
        setup.negotiate(PROTOCOL_FEATURES);
        const golden = FRONTEND_GOLDEN[spec.name];
        using fds = new SentFds(setup.sys, golden.fds ?? []);
        setup.frontend.request(spec.name, payloadOf(golden), fds.numbers, () => {});
        const got = setup.peer.receive();
        for (const fd of got.fds) {
          setup.sys.fd.close(fd);
        }
        const header = u32s(got.id, got.flags, got.payload.length);
        expect(hex(header) + hex(got.payload)).to.equal(bare(golden.request));
        expect(got.fds.length).to.equal(golden.fds?.length ?? 0);
      });
    }

    const typed: [keyof typeof FRONTEND_GOLDEN, (frontend: FrontendConnection, fd: number) => void][] = [
      ['GET_CONFIG', (frontend) => frontend.getConfig(40, 4, () => {})],
      ['SET_CONFIG', (frontend) => frontend.setConfig(4, Uint8Array.of(0xaa, 0xbb), () => {})],
      [
        'SET_MEM_TABLE',
        (frontend, fd) =>
          frontend.setMemoryTable(
            [
              { gpa: 0x4000_0000, size: 0x10000, userAddr: 0x7000_0000_0000, mmapOffset: 0, fd },
              { gpa: 0x8000_0000, size: 0x10000, userAddr: 0x7000_1000_0000, mmapOffset: 0x10000, fd },
            ],
            () => {},
          ),
      ],
      [
        'ADD_MEM_REG',
        (frontend, fd) =>
          frontend.addMemoryRegion(
            { gpa: 0x8000_0000, size: 0x10000, userAddr: 0x7000_1000_0000, mmapOffset: 0x10000, fd },
            () => {},
          ),
      ],
      [
        'REM_MEM_REG',
        (frontend) =>
          frontend.removeMemoryRegion({ gpa: 0x4000_0000, size: 0x10000, userAddr: 0x7000_0000_0000 }, () => {}),
      ],
      ['SET_STATUS', (frontend) => frontend.setStatus(0xf, () => {})],
      ['GET_STATUS', (frontend) => frontend.getStatus(() => {})],
      ['RESET_DEVICE', (frontend) => frontend.resetDevice(() => {})],
    ];
    for (const [name, call] of typed) {
      it(`the arguments of ${name}`, () => {
        using setup = new FrontendSetup();
        setup.negotiate(PROTOCOL_FEATURES);
        using fd = memfd(setup.sys, 4096);
        call(setup.frontend, fd.fd);
        const got = setup.peer.receive();
        for (const fd of got.fds) {
          setup.sys.fd.close(fd);
        }
        expect(hex(got.payload)).to.equal(hex(payloadOf(FRONTEND_GOLDEN[name])));
        expect(got.fds.length).to.equal(FRONTEND_GOLDEN[name].fds?.length ?? 0);
      });
    }
  });

  it('sets up a ring in an order that every back-end takes, and stops it', () => {
    using setup = new FrontendSetup();
    setup.negotiate(PROTOCOL_FEATURES);
    using kick = new SentFds(setup.sys, ['event']);
    const outcomes: unknown[] = [];
    setup.frontend.startRing(
      { index: 1, size: 16, base: 5, desc: 0x1000, used: 0x3000, avail: 0x2000, kickFd: kick.numbers[0]!, callFd: -1 },
      (error) => outcomes.push(error),
    );
    const seen: [number, string, number][] = [];
    for (let step = 0; step < 6; step++) {
      const got = setup.peer.receive();
      seen.push([got.id, hex(got.payload), got.fds.length]);
      for (const fd of got.fds) {
        setup.sys.fd.close(fd);
      }
      setup.peer.send(got.id, 5, u64s(0));
    }
    setup.settle();
    expect(seen).to.deep.equal([
      [8, '0100000010000000', 0],
      [10, '0100000005000000', 0],
      [9, `0100000000000000${'0010000000000000'}${'0030000000000000'}${'0020000000000000'}${'00'.repeat(8)}`, 0],
      [13, '0101000000000000', 0],
      [12, '0100000000000000', 1],
      [18, '0100000001000000', 0],
    ]);
    setup.frontend.stopRing(1, (error, base) => outcomes.push(error, base));
    expect(setup.reply(u64s(0))).to.equal(18);
    expect(setup.reply(u32s(1, 77))).to.equal(11);
    expect(outcomes).to.deep.equal([null, null, 77]);
  });

  it('pairs pipelined requests with their answers in order, and reads refusals', () => {
    using setup = new FrontendSetup();
    setup.negotiate(PROTOCOL_FEATURES);
    const outcomes: string[] = [];
    setup.frontend.setStatus(1, (error) => outcomes.push(String(error)));
    setup.frontend.getStatus((error, status) => outcomes.push(`${error} ${status}`));
    setup.frontend.setStatus(2, (error) => outcomes.push((error as VhostUserError).code));
    setup.settle();
    expect([setup.peer.receive().id, setup.peer.receive().id, setup.peer.receive().id]).to.deep.equal([39, 40, 39]);
    setup.peer.send(39, 5, u64s(0));
    setup.peer.send(40, 5, u64s(0xf));
    setup.peer.send(39, 5, u64s(BigInt.asUintN(64, BigInt(-EACCES))));
    setup.settle();
    expect(outcomes).to.deep.equal(['null', 'null 15', 'ERR_VU_REFUSED']);
  });

  it('takes both ways of failing GET_CONFIG', () => {
    using setup = new FrontendSetup();
    setup.negotiate(PROTOCOL_FEATURES);
    const codes: string[] = [];
    for (const failure of [new Uint8Array(0), u32s(0, 0, 0)]) {
      setup.frontend.getConfig(0, 4, (error) => codes.push((error as VhostUserError).code));
      setup.reply(failure);
    }
    setup.frontend.getConfig(0, 4, (error, bytes) => codes.push(`${error} ${hex(bytes!)}`));
    setup.reply(new Uint8Array([...u32s(0, 4, 0), 1, 2, 3, 4]));
    expect(codes).to.deep.equal(['ERR_VU_REFUSED', 'ERR_VU_REFUSED', 'null 01020304']);
  });

  it('gives descriptors of a reply to the caller', () => {
    using setup = new FrontendSetup();
    setup.negotiate(PROTOCOL_FEATURES);
    let got = -1;
    setup.frontend.request('GET_INFLIGHT_FD', payloadOf(FRONTEND_GOLDEN.GET_INFLIGHT_FD), [], (_error, reply) => {
      got = reply!.fds.length;
      for (const fd of reply!.fds) {
        fd.close();
      }
    });
    using fds = new SentFds(setup.sys, ['memory']);
    setup.reply(payloadOf(FRONTEND_GOLDEN.GET_INFLIGHT_FD), fds.numbers);
    expect(got).to.equal(1);
  });

  for (const [what, id, flags, payload, fds] of [
    ['of another message', 39, 5, u64s(0), 0],
    ['with other flags', 40, 1, u64s(0), 0],
    ['of the wrong size', 40, 5, u32s(0), 0],
    ['with a descriptor', 40, 5, u64s(0), 1],
  ] as const) {
    it(`ends at a reply ${what}`, () => {
      let reason = '';
      using setup = new FrontendSetup({ handlers: { disconnected: (text) => (reason = text) } });
      setup.negotiate(PROTOCOL_FEATURES);
      const codes: string[] = [];
      setup.frontend.getStatus((error) => codes.push((error as VhostUserError).code));
      setup.frontend.getStatus((error) => codes.push((error as VhostUserError).code));
      using sent = new SentFds(
        setup.sys,
        Array.from({ length: fds }, () => 'event' as const),
      );
      setup.settle();
      setup.peer.send(id, flags, payload, sent.numbers);
      setup.settle();
      expect(codes).to.deep.equal(['ERR_VU_REPLY', 'ERR_VU_REPLY']);
      expect(setup.frontend.closed).to.equal(true);
      expect(reason).to.match(/^ERR_VU_REPLY/);
    });
  }

  it('ends what is unanswered when the back-end goes, and refuses requests from then on', () => {
    using setup = new FrontendSetup();
    setup.negotiate(PROTOCOL_FEATURES);
    const codes: string[] = [];
    const note = (error: Error | null) => codes.push((error as VhostUserError).code);
    setup.frontend.getStatus(note);
    setup.settle();
    setup.peer.close();
    setup.settle();
    setup.frontend.getStatus(note);
    setup.settle();
    expect(codes).to.deep.equal(['ERR_VU_CLOSED', 'ERR_VU_CLOSED']);
  });

  it('gives up waiting in time', () => {
    using setup = new FrontendSetup();
    setup.negotiate(PROTOCOL_FEATURES);
    expect(() => setup.frontend.wait<number>((done) => setup.frontend.getStatus(done), 1))
      .to.throw(VhostUserError)
      .with.property('code', 'ERR_VU_TIMEOUT');
  });

  it('refuses a region size that no number holds', () => {
    using setup = new FrontendSetup();
    expect(() => setup.negotiate(PROTOCOL_FEATURES, [2 ** 60]))
      .to.throw(VhostUserError)
      .with.property('code', 'ERR_VU_REPLY');
  });

  it('negotiates without protocol features, and is done with acks once sent', () => {
    using setup = new FrontendSetup();
    setup.negotiate(0);
    let sent = false;
    setup.frontend.resetOwner(() => (sent = true));
    expect(setup.peer.receive().flags).to.equal(1);
    setup.settle();
    expect(sent).to.equal(true);
    expect(setup.frontend.queueCount).to.equal(1);
  });
});
