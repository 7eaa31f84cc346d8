/** Random input from a back-end: nothing throws, hangs or leaks, every call ends once, every request is answered once. */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { BACKEND_MESSAGES, type FrontendConnection, type FrontendHandlers, SharedObjects } from '../src/index.ts';
import { FrontendSetup } from './support/frontend-setup.ts';
import { BACKEND_GOLDEN, payloadOf } from './support/golden.ts';
import { type FdKind, SentFds, u64s } from './support/prelude.ts';
import type { RawPeer } from './support/raw-peer.ts';

const SEED = 20261122;
const EVERYTHING = 0xfdffff;
const DEVICE_FEATURES = 0x3_4400_0001;

/** Sends what still goes: a front-end that closed is no failure. */
function trySend(peer: RawPeer, id: number, flags: number, payload: Uint8Array, fds: number[], size: number): void {
  try {
    peer.send(id, flags, payload, fds, size);
  } catch (error) {
    if (!/^Error: sendmsg: -(32|104)$/.test(String(error))) {
      throw error;
    }
  }
}

/** Takes what is there. @returns how many answers */
function drain(setup: FrontendSetup, peer: RawPeer): number {
  let count = 0;
  for (let message = peer.next(); message !== null && message !== 'eof'; message = peer.next()) {
    count++;
    for (const fd of message.fds) {
      setup.sys.fd.close(fd);
    }
  }
  return count;
}

const kinds = fc.array(fc.constantFrom<FdKind>('memory', 'event', 'socket'), { maxLength: 2 });
const word = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 0x100n, 0x101n, 0x1000n, 0x10000n, 2n ** 53n, 2n ** 64n - 1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);
const payload = fc.oneof(
  { weight: 4, arbitrary: fc.array(word, { maxLength: 5 }).map((words) => u64s(...words)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
);

describe('FrontendConnection under random input', function () {
  this.timeout(60_000);

  type Call = (frontend: FrontendConnection, done: () => void) => void;
  const uuid = new Uint8Array(16);
  const calls: [number, Call][] = [
    [11, (frontend, done) => frontend.request('GET_VRING_BASE', u64s(0), [], done)],
    [18, (frontend, done) => frontend.stopRing(0, done)],
    [24, (frontend, done) => frontend.getConfig(0, 4, done)],
    [40, (frontend, done) => frontend.getStatus(done)],
    [36, (frontend, done) => frontend.getMaxMemorySlots(done)],
    [42, (frontend, done) => frontend.saveState(done)],
    [22, (frontend, done) => frontend.iotlb.invalidate(0, 1, done)],
    [26, (frontend, done) => frontend.crypto.createSession(new Uint8Array(8), done)],
    [
      31,
      (frontend, done) =>
        frontend.getInflight(1, 16, (_error, area) => {
          area?.[Symbol.dispose]();
          done();
        }),
    ],
    [
      28,
      (frontend, done) =>
        frontend.postcopy.advise((_error, fd) => {
          fd?.close();
          done();
        }),
    ],
    [
      41,
      (frontend, done) =>
        frontend.getSharedObject(uuid, (_error, fd) => {
          fd?.close();
          done();
        }),
    ],
  ];

  it('ends each call once, whatever the replies are', () => {
    using _leaks = leakCheck();
    const reply = fc.record({
      call: fc.constantFrom(...calls),
      id: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 50 }) }),
      flags: fc.constantFrom(5, 5, 5, 5, 5, 5, 1, 13, 0),
      payload,
      lie: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(1, 8, 9000) }),
      fds: kinds,
    });
    fc.assert(
      fc.property(fc.array(reply, { minLength: 1, maxLength: 12 }), (replies) => {
        using setup = new FrontendSetup();
        setup.negotiate(EVERYTHING, [0x10000], DEVICE_FEATURES);
        const ended = replies.map(() => 0);
        for (const [index, { call, id, flags, payload, lie, fds: fdKinds }] of replies.entries()) {
          call[1](setup.frontend, () => ended[index]!++);
          drain(setup, setup.peer);
          using fds = new SentFds(setup.sys, fdKinds);
          trySend(setup.peer, id === 0 ? call[0] : id, flags, payload, fds.numbers, payload.length + lie);
          drain(setup, setup.peer);
        }
        setup.frontend[Symbol.dispose]();
        setup.settle();
        expect(ended).to.deep.equal(replies.map(() => 1));
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  const handlers: FrontendHandlers = {
    shmemMap: (_request, fd) => {
      fd.close();
      return 0;
    },
    shmemUnmap: () => 0,
    iotlb: () => 0,
    hostNotifier: (_notifier, fd) => {
      fd?.close();
      return 0;
    },
    ringCalled: () => {},
  };

  it('answers each request on the back channel once where it wants it, and stays', () => {
    using _leaks = leakCheck();
    const request = fc.record({
      spec: fc.constantFrom(...BACKEND_MESSAGES),
      flags: fc.constantFrom(1, 9, 9, 13),
      payload: fc.oneof({ weight: 1, arbitrary: fc.constant(null) }, { weight: 2, arbitrary: payload }),
      fds: fc.oneof(fc.constant(null), kinds),
    });
    fc.assert(
      fc.property(fc.array(request, { maxLength: 20 }), (requests) => {
        using first = new FrontendSetup();
        using setup = new FrontendSetup({
          handlers,
          sys: first.sys,
          loop: first.loop,
          sharedObjects: new SharedObjects({ loop: first.loop }),
        });
        setup.negotiate(EVERYTHING, [0x10000], DEVICE_FEATURES);
        for (const { spec, flags, payload, fds: fdKinds } of requests) {
          const golden = BACKEND_GOLDEN[spec.name];
          using fds = new SentFds(setup.sys, fdKinds ?? golden.fds ?? []);
          const bytes = payload ?? payloadOf(golden);
          trySend(setup.back!, spec.id, flags, bytes, fds.numbers, bytes.length);
          const answers = drain(setup, setup.back!);
          // A look-up of an object that this back-end added asks it first.
          const asked = setup.peer.next();
          if (asked === null) {
            expect(answers).to.equal((flags & 8) !== 0 || spec.reply !== 'ack' ? 1 : 0);
          } else {
            expect([answers, (asked as { id: number }).id]).to.deep.equal([0, 41]);
            setup.peer.send(41, 5);
            expect(drain(setup, setup.back!)).to.equal(1);
          }
        }
        expect(setup.back!.ask(2)).to.equal(0);
        expect(setup.frontend.closed).to.equal(false);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });
});
