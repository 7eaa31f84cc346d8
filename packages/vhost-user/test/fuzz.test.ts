/** Random input from a front-end: nothing crashes, hangs or leaks, and the next connection works. */
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { FRONTEND_MESSAGES, profiles } from '../src/index.ts';
import { BackSetup } from './support/back-peer.ts';
import { FULL_PROTOCOL_FEATURES, FullHandler } from './support/full-handler.ts';
import { FRONTEND_GOLDEN, payloadOf } from './support/golden.ts';
import { type FdKind, prelude, SentFds, u64s } from './support/prelude.ts';
import { RawSetup } from './support/setup.ts';

const SEED = 20261122;

/** Sends what still goes: a back-end that closed is no failure. */
function trySend(send: () => void): void {
  try {
    send();
  } catch (error) {
    if (!/^Error: sendmsg: -(32|104|11)$/.test(String(error))) {
      throw error;
    }
  }
}

/** Takes all answers; each must be a reply with flags 5. */
function drain(setup: RawSetup): void {
  for (let message = setup.peer.next(); message !== null && message !== 'eof'; message = setup.peer.next()) {
    expect(message.flags).to.equal(5);
    for (const fd of message.fds) {
      setup.sys.fd.close(fd);
    }
  }
}

const kinds = fc.array(fc.constantFrom<FdKind>('memory', 'event', 'socket'), { maxLength: 3 });

describe('BackendConnection under random input', function () {
  this.timeout(60_000);

  it('survives random bytes', () => {
    using _leaks = leakCheck();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 200 }), kinds), { maxLength: 8 }),
        (pieces) => {
          using setup = new RawSetup();
          prelude(setup);
          for (const [bytes, fdKinds] of pieces) {
            using fds = new SentFds(setup.sys, fdKinds);
            trySend(() => setup.peer.sendBytes(bytes, fds.numbers));
            drain(setup);
          }
        },
      ),
      { seed: SEED, numRuns: 200 },
    );
  });

  it('survives every message with random payloads, sizes, flags and descriptors, in any order', () => {
    using _leaks = leakCheck();
    const word = fc.oneof(
      fc.constantFrom(0n, 1n, 2n, 0x100n, 0xffffn, 0x1000n, 0x10000n, 0x7000_0000_0000n, 2n ** 53n, 2n ** 64n - 1n),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    );
    const payload = fc.oneof(
      { weight: 3, arbitrary: fc.constant(null) },
      { weight: 3, arbitrary: fc.array(word, { maxLength: 6 }).map((words) => u64s(...words)) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
    );
    const message = fc.record({
      spec: fc.constantFrom(...FRONTEND_MESSAGES),
      flags: fc.constantFrom(1, 9, 9, 9, 5, 0),
      payload,
      fds: fc.oneof(fc.constant(null), kinds),
    });
    fc.assert(
      fc.property(
        fc.array(message, { minLength: 1, maxLength: 30 }),
        fc.constantFrom(profiles.qemu, profiles.crosvm, profiles.strict),
        fc.boolean(),
        (messages, profile, full) => {
          using next = new RawSetup(full ? { handler: new FullHandler() } : {});
          using setup = new RawSetup({ profile, handler: next.handler });
          prelude(setup);
          if (full) {
            setup.peer.send(16, 1, u64s(FULL_PROTOCOL_FEATURES));
          }
          for (const { spec, flags, payload, fds: fdKinds } of messages) {
            const golden = FRONTEND_GOLDEN[spec.name];
            using fds = new SentFds(setup.sys, fdKinds ?? golden.fds ?? []);
            trySend(() => setup.peer.send(spec.id, flags, payload ?? payloadOf(golden), fds.numbers));
            drain(setup);
          }
          const running = setup.handler.rings.size > 0;
          expect(setup.backend.running).to.equal(running);
          setup.backend[Symbol.dispose]();
          prelude(next);
          expect(next.peer.ask(3)).to.equal(0);
        },
      ),
      { seed: SEED, numRuns: 500 },
    );
  });

  it('survives random answers on the back channel', () => {
    using _leaks = leakCheck();
    const answer = fc.record({
      id: fc.constantFrom(9, 9, 9, 10, 2, 77),
      flags: fc.constantFrom(5, 5, 5, 5, 1, 13),
      payload: fc.oneof(fc.constantFrom(u64s(0), u64s(0), u64s(1)), fc.uint8Array({ maxLength: 12 })),
    });
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 6 }), (answers) => {
        using setup = new BackSetup({ profile: profiles.crosvm });
        let asked = 0;
        for (let index = 0; index < 4; index++) {
          setup.map(index * 0x1000);
          asked++;
        }
        for (const { id, flags, payload } of answers) {
          const request = setup.back.next();
          if (request !== null && request !== 'eof') {
            for (const fd of request.fds) {
              setup.sys.fd.close(fd);
            }
          }
          trySend(() => setup.back.send(id, flags, payload));
          setup.settle();
        }
        const last = setup.back.next();
        if (last !== null && last !== 'eof') {
          for (const fd of last.fds) {
            setup.sys.fd.close(fd);
          }
        }
        setup.backend[Symbol.dispose]();
        expect(setup.outcomes.length).to.equal(asked);
      }),
      { seed: SEED, numRuns: 200 },
    );
  });
});
