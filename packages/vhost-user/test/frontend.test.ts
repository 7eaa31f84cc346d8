import { EACCES } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import {
  BACKEND_MESSAGES,
  FRONTEND_MESSAGES,
  type FrontendConnection,
  type ShmemRequest,
  VhostUserError,
} from '../src/index.ts';
import { FrontendSetup } from './support/frontend-setup.ts';
import { BACKEND_GOLDEN, bare, bytesOf, FRONTEND_GOLDEN, payloadOf } from './support/golden.ts';
import { memfd, SentFds, u32s, u64s } from './support/prelude.ts';

/** All bits that a test needs: 0 3 5 9 10 13 15 16 22. */
const ALL_OURS = 0x41a629;

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
        setup.negotiate(ALL_OURS);
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
        setup.negotiate(ALL_OURS);
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
    setup.negotiate(ALL_OURS);
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
    setup.negotiate(ALL_OURS);
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
    setup.negotiate(ALL_OURS);
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
    setup.negotiate(ALL_OURS);
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
      setup.negotiate(ALL_OURS);
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
    setup.negotiate(ALL_OURS);
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
    setup.negotiate(ALL_OURS);
    expect(() => setup.frontend.wait<number>((done) => setup.frontend.getStatus(done), 1))
      .to.throw(VhostUserError)
      .with.property('code', 'ERR_VU_TIMEOUT');
  });

  it('refuses a region size that no number holds', () => {
    using setup = new FrontendSetup();
    expect(() => setup.negotiate(ALL_OURS, [2 ** 60]))
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

describe('FrontendConnection, back channel', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  const requests: (ShmemRequest | string)[] = [];
  const handlers = {
    shmemMap: (request: ShmemRequest, fd: { close(): void }) => {
      requests.push(request);
      fd.close();
      return 0;
    },
    shmemUnmap: (request: ShmemRequest) => {
      requests.push(request);
      return 0;
    },
    configChange: () => {
      requests.push('config');
    },
  };
  beforeEach(() => {
    requests.length = 0;
  });

  for (const spec of BACKEND_MESSAGES) {
    const golden = BACKEND_GOLDEN[spec.name];
    it(`answers ${spec.name} with the bytes of the specification`, () => {
      using setup = new FrontendSetup({ handlers });
      setup.negotiate(ALL_OURS);
      using fds = new SentFds(setup.sys, golden.fds ?? []);
      setup.back!.sendBytes(bytesOf(golden.request), fds.numbers);
      expect(setup.back!.receiveHex()).to.equal(bare(golden.answer));
    });
  }

  it('decodes a mapping', () => {
    using setup = new FrontendSetup({ handlers });
    setup.negotiate(ALL_OURS);
    using fds = new SentFds(setup.sys, ['memory']);
    setup.back!.sendBytes(bytesOf(BACKEND_GOLDEN.SHMEM_MAP.request), fds.numbers);
    setup.back!.sendBytes(bytesOf(BACKEND_GOLDEN.SHMEM_UNMAP.request));
    setup.back!.sendBytes(bytesOf(BACKEND_GOLDEN.CONFIG_CHANGE_MSG.request));
    setup.settle();
    const mapping = { shmid: 0, fdOffset: 0x1000, shmOffset: 0x2000, len: 0x3000, writable: true };
    expect(requests).to.deep.equal([mapping, mapping, 'config']);
  });

  const mmap = (
    shmid: number,
    fdOffset: number | bigint,
    shmOffset: number | bigint,
    len: number | bigint,
    flags = 1,
  ) => new Uint8Array([...u64s(shmid), ...u64s(fdOffset, shmOffset, len, flags)]);
  const MAX = 0xffff_ffff_ffff_ffffn;
  for (const [what, payload, fds] of [
    ['another region', mmap(1, 0, 0, 0x1000), 1],
    ['no bytes', mmap(0, 0, 0, 0), 1],
    ['a range past the region', mmap(0, 0, 0xf000, 0x2000), 1],
    ['an offset past the region', mmap(0, 0, 0x11000, 0x1000), 1],
    ['a range that wraps', mmap(0, 0, 0x1000, MAX - 0xfffn), 1],
    ['a file range that wraps', mmap(0, MAX - 0xfffn, 0, 0x1000), 1],
    ['a file offset beyond 2^53', mmap(0, 2 ** 60, 0, 0x1000), 1],
    ['a file range that ends at 2^53', mmap(0, 2 ** 53 - 0x1000, 0, 0x1000), 1],
    ['unknown flags', mmap(0, 0, 0, 0x1000, 3), 1],
    ['no descriptor', mmap(0, 0, 0, 0x1000), 0],
    ['two descriptors', mmap(0, 0, 0, 0x1000), 2],
    ['a short payload', mmap(0, 0, 0, 0x1000).subarray(0, 34), 1],
  ] as const) {
    it(`refuses a mapping with ${what} and stays`, () => {
      using setup = new FrontendSetup({ handlers });
      setup.negotiate(ALL_OURS);
      using sent = new SentFds(
        setup.sys,
        Array.from({ length: fds }, () => 'memory' as const),
      );
      expect(setup.back!.ask(9, payload, sent.numbers)).to.be.greaterThan(0);
      expect(requests).to.deep.equal([]);
      expect(setup.back!.ask(2)).to.equal(0);
    });
  }

  it('answers only requests that want it, unknown ones too', () => {
    using setup = new FrontendSetup({ handlers });
    setup.negotiate(ALL_OURS);
    setup.back!.send(2, 1);
    setup.back!.send(77, 1, u64s(1));
    expect(setup.back!.receiveHex()).to.equal('null');
    expect(setup.back!.ask(77, u64s(1))).to.be.greaterThan(0);
    expect(setup.back!.ask(2)).to.equal(0);
  });

  it('answers with the errno of the embedder, and EOPNOTSUPP without one', () => {
    using setup = new FrontendSetup({ handlers: { shmemUnmap: () => -2 } });
    setup.negotiate(ALL_OURS);
    using fds = new SentFds(setup.sys, ['memory']);
    setup.back!.send(10, 9, mmap(0, 0, 0, 0x1000));
    expect(hex(setup.back!.receive().payload)).to.equal('feffffffffffffff');
    setup.back!.send(9, 9, mmap(0, 0, 0, 0x1000), fds.numbers);
    expect(hex(setup.back!.receive().payload)).to.equal('a1ffffffffffffff');
  });

  it('refuses mappings where SHMEM was not negotiated', () => {
    using setup = new FrontendSetup({ handlers });
    setup.negotiate(ALL_OURS & ~(1 << 22));
    using fds = new SentFds(setup.sys, ['memory']);
    expect(setup.back!.ask(9, mmap(0, 0, 0, 0x1000), fds.numbers)).to.be.greaterThan(0);
  });

  it('answers first, and tells of the mapping by the memory table after', () => {
    using setup = new FrontendSetup({
      handlers,
      announce: () => ({ gpa: 0xf000_0000, userAddr: 0x7100_0000_0000 }),
    });
    setup.negotiate(ALL_OURS);
    using fds = new SentFds(setup.sys, ['memory']);
    setup.back!.send(9, 9, mmap(0, 0x1000, 0x2000, 0x3000), fds.numbers);
    expect(setup.back!.receiveHex()).to.equal(bare(BACKEND_GOLDEN.SHMEM_MAP.answer));
    const added = setup.peer.receive();
    expect([added.id, added.flags, added.fds.length]).to.deep.equal([37, 9, 1]);
    expect(hex(added.payload)).to.equal(hex(u64s(0, 0xf000_2000, 0x3000, 0x7100_0000_2000, 0x1000)));
    setup.sys.fd.close(added.fds[0]!);
    setup.peer.send(37, 5, u64s(0));
    setup.back!.send(10, 9, mmap(0, 0, 0x2000, 0x3000));
    expect(setup.back!.receiveHex()).to.equal(bare(BACKEND_GOLDEN.SHMEM_UNMAP.answer));
    const removed = setup.peer.receive();
    expect([removed.id, removed.flags, removed.fds.length]).to.deep.equal([38, 9, 0]);
    expect(hex(removed.payload)).to.equal(hex(u64s(0, 0xf000_2000, 0x3000, 0x7100_0000_2000, 0)));
  });
});
