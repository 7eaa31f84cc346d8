import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { BACKEND_MESSAGES, type ShmemRequest } from '../src/index.ts';
import { FrontendSetup } from './support/frontend-setup.ts';
import { BACKEND_GOLDEN, bare, bytesOf } from './support/golden.ts';
import { PROTOCOL_FEATURES, SentFds, u64s } from './support/prelude.ts';

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

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
      setup.negotiate(PROTOCOL_FEATURES);
      using fds = new SentFds(setup.sys, golden.fds ?? []);
      setup.back!.sendBytes(bytesOf(golden.request), fds.numbers);
      expect(setup.back!.receiveHex()).to.equal(bare(golden.answer));
    });
  }

  it('decodes a mapping', () => {
    using setup = new FrontendSetup({ handlers });
    setup.negotiate(PROTOCOL_FEATURES);
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
      setup.negotiate(PROTOCOL_FEATURES);
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
    setup.negotiate(PROTOCOL_FEATURES);
    setup.back!.send(2, 1);
    setup.back!.send(77, 1, u64s(1));
    expect(setup.back!.receiveHex()).to.equal('null');
    expect(setup.back!.ask(77, u64s(1))).to.be.greaterThan(0);
    expect(setup.back!.ask(2)).to.equal(0);
  });

  it('answers with the errno of the embedder, and EOPNOTSUPP without one', () => {
    using setup = new FrontendSetup({ handlers: { shmemUnmap: () => -2 } });
    setup.negotiate(PROTOCOL_FEATURES);
    using fds = new SentFds(setup.sys, ['memory']);
    setup.back!.send(10, 9, mmap(0, 0, 0, 0x1000));
    expect(hex(setup.back!.receive().payload)).to.equal('feffffffffffffff');
    setup.back!.send(9, 9, mmap(0, 0, 0, 0x1000), fds.numbers);
    expect(hex(setup.back!.receive().payload)).to.equal('a1ffffffffffffff');
  });

  it('refuses mappings where SHMEM was not negotiated', () => {
    using setup = new FrontendSetup({ handlers });
    setup.negotiate(PROTOCOL_FEATURES & ~(1 << 22));
    using fds = new SentFds(setup.sys, ['memory']);
    expect(setup.back!.ask(9, mmap(0, 0, 0, 0x1000), fds.numbers)).to.be.greaterThan(0);
  });

  it('answers first, and tells of the mapping by the memory table after', () => {
    using setup = new FrontendSetup({
      handlers,
      announce: () => ({ gpa: 0xf000_0000, userAddr: 0x7100_0000_0000 }),
    });
    setup.negotiate(PROTOCOL_FEATURES);
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
