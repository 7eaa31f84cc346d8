import { BlockingLoop, EACCES, EINVAL, ENOENT, EOPNOTSUPP, EPERM, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type FrontendHandlers, SharedObjects } from '../src/index.ts';
import { FrontendSetup } from './support/frontend-setup.ts';
import { bytesOf } from './support/golden.ts';
import { SentFds, u32s, u64s } from './support/prelude.ts';

/** Every protocol feature but XEN_MMAP; ACCESS_PLATFORM among the device features; four queues. */
const EVERYTHING = 0xfdffff;
const DEVICE_FEATURES = 0x3_4400_0001;
const MAX = 0xffff_ffff_ffff_ffffn;

const errno = (value: number) => BigInt.asUintN(64, BigInt(value));
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const uuid = (last: number) => bytesOf(`000102030405060708090a0b0c0d0e${last.toString(16).padStart(2, '0')}`);

function everything(options: ConstructorParameters<typeof FrontendSetup>[0]): FrontendSetup {
  const setup = new FrontendSetup(options);
  setup.negotiate(EVERYTHING, [0x10000], DEVICE_FEATURES);
  return setup;
}

/** Sends a request that wants an answer, and gives that as a u64 with the number of descriptors. */
function asked(setup: FrontendSetup, id: number, payload: Uint8Array, fds: number[] = []): [bigint, number] {
  setup.back!.send(id, 9, payload, fds);
  const reply = setup.back!.receive();
  for (const fd of reply.fds) {
    setup.sys.fd.close(fd);
  }
  expect([reply.id, reply.flags, reply.payload.length]).to.deep.equal([id, 5, 8]);
  return [new DataView(reply.payload.buffer, reply.payload.byteOffset).getBigUint64(0, true), reply.fds.length];
}

describe('FrontendConnection, back-end requests', () => {
  let leaks = leakCheck();
  let calls: string[] = [];
  beforeEach(() => {
    leaks = leakCheck();
    calls = [];
  });
  afterEach(() => leaks.check());

  const handlers: FrontendHandlers = {
    ringCalled: (index) => {
      calls.push(`called ${index}`);
    },
    ringFailed: (index) => {
      calls.push(`failed ${index}`);
    },
    iotlb: (message) => {
      calls.push(`iotlb ${JSON.stringify(message)}`);
      return message.iova === 0x9000 ? -EACCES : 0;
    },
    hostNotifier: (notifier, fd) => {
      calls.push(`notifier ${JSON.stringify(notifier)} ${fd === null ? 'none' : 'fd'}`);
      fd?.close();
      return 0;
    },
  };
  const iotlb = (iova: number | bigint, size: number | bigint, uaddr: number | bigint, perm: number, type: number) =>
    new Uint8Array([...u64s(iova, size, uaddr), perm, type, 0, 0, 0, 0, 0, 0]);

  const served: [string, number, Uint8Array, number, bigint, string[]][] = [
    ['VRING_CALL', 4, u32s(3, 0), 0, 0n, ['called 3']],
    ['VRING_CALL of no ring', 4, u32s(4, 0), 0, errno(-EINVAL), []],
    ['VRING_CALL of a ring that 8 bits would make one', 4, u32s(0x100, 0), 0, errno(-EINVAL), []],
    ['VRING_ERR', 5, u32s(0, 0), 0, 0n, ['failed 0']],
    ['VRING_ERR of no ring', 5, u32s(0xffff_ffff, 0), 0, errno(-EINVAL), []],
    [
      'an IOTLB miss',
      1,
      iotlb(0x5000, 0x1000, 0, 1, 1),
      0,
      0n,
      ['iotlb {"iova":20480,"size":4096,"uaddr":0,"perm":1,"type":1}'],
    ],
    [
      'an IOTLB access failure, with the errno of the embedder',
      1,
      iotlb(0x9000, 1, 0, 2, 4),
      0,
      errno(-EACCES),
      ['iotlb {"iova":36864,"size":1,"uaddr":0,"perm":2,"type":4}'],
    ],
    ['an IOTLB update, which is no back-end message', 1, iotlb(0, 1, 0, 1, 2), 0, errno(-EINVAL), []],
    ['an IOTLB miss with unknown rights', 1, iotlb(0, 1, 0, 4, 1), 0, errno(-EINVAL), []],
    ['an IOTLB miss that wraps', 1, iotlb(MAX, 1, 0, 1, 1), 0, errno(-EINVAL), []],
    ['an IOTLB miss of a huge size', 1, iotlb(0, MAX, 0, 1, 1), 0, errno(-EINVAL), []],
    ['an IOTLB miss with a huge user address', 1, iotlb(0, 1, MAX, 1, 1), 0, errno(-EINVAL), []],
    ['a host notifier', 3, u64s(1, 0x1000, 0x2000), 1, 0n, ['notifier {"index":1,"size":4096,"offset":8192} fd']],
    ['a host notifier taken back', 3, u64s(0x101, 0, 0), 0, 0n, ['notifier {"index":1,"size":0,"offset":0} none']],
    ['a host notifier of no ring', 3, u64s(4, 0x1000, 0), 1, errno(-EINVAL), []],
    ['a host notifier with unknown bits', 3, u64s(0x200, 0x1000, 0), 1, errno(-EINVAL), []],
    ['a host notifier with high bits', 3, u64s(2n ** 32n, 0x1000, 0), 1, errno(-EINVAL), []],
    ['a host notifier of no bytes', 3, u64s(0, 0, 0), 1, errno(-EINVAL), []],
    ['a host notifier that wraps', 3, u64s(0, 0x1000, MAX - 0xfffn), 1, errno(-EINVAL), []],
    ['a host notifier without its descriptor', 3, u64s(0, 0x1000, 0), 0, errno(-EINVAL), []],
  ];
  for (const [what, id, payload, fds, answer, wanted] of served) {
    it(`${answer === 0n ? 'serves' : 'refuses'} ${what}`, () => {
      using setup = everything({ handlers });
      using sent = new SentFds(setup.sys, fds === 0 ? [] : ['memory']);
      expect(asked(setup, id, payload, sent.numbers)).to.deep.equal([answer, 0]);
      expect(calls).to.deep.equal(wanted);
      expect(asked(setup, 2, new Uint8Array(0))[0]).to.equal(0n);
    });
  }

  it('answers EOPNOTSUPP where the embedder has no handler', () => {
    using setup = everything({});
    using sent = new SentFds(setup.sys, ['memory']);
    const answers = [
      asked(setup, 1, iotlb(0, 1, 0, 1, 1)),
      asked(setup, 3, u64s(0, 0x1000, 0), sent.numbers),
      asked(setup, 4, u32s(0, 0)),
      asked(setup, 5, u32s(0, 0)),
      asked(setup, 6, uuid(0)),
      asked(setup, 7, uuid(0)),
      asked(setup, 8, uuid(0)),
    ];
    expect(answers).to.deep.equal(answers.map(() => [errno(-EOPNOTSUPP), 0]));
  });
});

describe('SharedObjects', () => {
  let leaks = leakCheck();
  beforeEach(() => {
    leaks = leakCheck();
  });
  afterEach(() => leaks.check());

  /** Two back-ends of one front-end. */
  class TwoBackends implements Disposable {
    readonly sys = openSys();
    readonly loop = new BlockingLoop(this.sys);
    readonly objects: SharedObjects;
    readonly exporter: FrontendSetup;
    readonly importer: FrontendSetup;

    constructor(options: { maxObjects?: number; timeoutMs?: number } = {}) {
      this.objects = new SharedObjects({ loop: this.loop, ...options });
      const shared = { sys: this.sys, loop: this.loop, sharedObjects: this.objects };
      this.exporter = everything(shared);
      this.importer = everything(shared);
    }

    [Symbol.dispose](): void {
      this.exporter[Symbol.dispose]();
      this.importer[Symbol.dispose]();
      this.loop[Symbol.dispose]();
    }
  }

  it('hands an object of one back-end to another', () => {
    using both = new TwoBackends();
    expect(asked(both.exporter, 6, uuid(1))).to.deep.equal([0n, 0]);
    both.importer.back!.send(8, 1, uuid(1));
    both.importer.back!.send(2, 9);
    both.importer.settle();
    const request = both.exporter.peer.receive();
    expect([request.id, request.flags, hex(request.payload)]).to.deep.equal([41, 1, hex(uuid(1))]);
    expect(both.importer.back!.next()).to.equal(null);
    using file = new SentFds(both.sys, ['memory']);
    both.exporter.peer.send(41, 5, [], file.numbers);
    const answer = both.importer.back!.receive();
    expect([answer.id, answer.flags, hex(answer.payload), answer.fds.length]).to.deep.equal([8, 5, '00'.repeat(8), 1]);
    both.sys.fd.close(answer.fds[0]!);
    expect(both.importer.back!.receive().id).to.equal(2);
  });

  it('lets none but the adder remove, and none add twice', () => {
    using both = new TwoBackends();
    const refused = [errno(-EPERM), 0];
    expect(asked(both.exporter, 6, uuid(1))).to.deep.equal([0n, 0]);
    expect(asked(both.exporter, 6, uuid(1))).to.deep.equal(refused);
    expect(asked(both.importer, 6, uuid(1))).to.deep.equal(refused);
    expect(asked(both.importer, 7, uuid(1))).to.deep.equal(refused);
    expect(asked(both.importer, 7, uuid(2))).to.deep.equal(refused);
    expect(asked(both.exporter, 7, uuid(1))).to.deep.equal([0n, 0]);
    expect(asked(both.importer, 6, uuid(1))).to.deep.equal([0n, 0]);
  });

  it('answers ENOENT for what nobody has, and for what its adder has not', () => {
    using both = new TwoBackends();
    expect(asked(both.importer, 8, uuid(1))).to.deep.equal([errno(-ENOENT), 0]);
    asked(both.exporter, 6, uuid(1));
    both.importer.back!.send(8, 1, uuid(1));
    both.importer.settle();
    both.exporter.reply(new Uint8Array(0));
    expect(hex(both.importer.back!.receive().payload)).to.equal(hex(u64s(errno(-ENOENT))));
  });

  it('forgets the objects of a back-end that left, also one that is being asked', () => {
    using both = new TwoBackends();
    asked(both.exporter, 6, uuid(1));
    both.importer.back!.send(8, 1, uuid(1));
    both.importer.settle();
    both.exporter.peer.close();
    expect(hex(both.importer.back!.receive().payload)).to.equal(hex(u64s(errno(-ENOENT))));
    expect(asked(both.importer, 6, uuid(1))).to.deep.equal([0n, 0]);
  });

  it('does not wait for ever, and closes what comes too late', () => {
    using both = new TwoBackends({ timeoutMs: 1 });
    asked(both.exporter, 6, uuid(1));
    both.importer.back!.send(8, 1, uuid(1));
    let answer = both.importer.back!.next();
    while (answer === null) {
      both.loop.runOnce(1000);
      answer = both.importer.back!.next();
    }
    expect(answer).to.have.property('id', 8);
    using file = new SentFds(both.sys, ['memory']);
    both.exporter.reply(new Uint8Array(0), file.numbers);
    expect(both.importer.back!.next()).to.equal(null);
  });

  it('bounds what one back-end may add', () => {
    using both = new TwoBackends({ maxObjects: 2 });
    const answers = [1, 2, 3].map((last) => asked(both.exporter, 6, uuid(last))[0]);
    expect(answers).to.deep.equal([0n, 0n, errno(-EPERM)]);
    asked(both.exporter, 7, uuid(1));
    expect(asked(both.exporter, 6, uuid(3))[0]).to.equal(0n);
  });

  it('is not read from while a lookup is out, and survives the end of the asker', () => {
    using both = new TwoBackends();
    asked(both.exporter, 6, uuid(1));
    both.importer.back!.send(8, 1, uuid(1));
    both.importer.settle();
    both.importer.peer.close();
    both.importer.settle();
    using file = new SentFds(both.sys, ['memory']);
    expect(both.exporter.reply(new Uint8Array(0), file.numbers)).to.equal(41);
  });
});
