/** Driver against device, with random chains, against an oracle that only keeps lists. */
import { openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Chain } from '../src/index.ts';
import { MockDriver } from '../src/testing/index.ts';

const sys = openSys();

/** What to do next; numbers choose among what is possible at that moment. */
type Step =
  | { readonly do: 'send'; readonly readable: Uint8Array[]; readonly writable: number[] }
  | { readonly do: 'post'; readonly readable: Uint8Array[]; readonly writable: number[] }
  | { readonly do: 'take' }
  | { readonly do: 'complete'; readonly which: number; readonly share: number }
  | { readonly do: 'receive' }
  | { readonly do: 'unfetch'; readonly which: number }
  | { readonly do: 'calls'; readonly on: boolean };

const buffers = {
  readable: fc.array(fc.uint8Array({ maxLength: 90 }), { maxLength: 5 }),
  writable: fc.array(fc.integer({ min: 0, max: 90 }), { maxLength: 5 }),
};
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), ...buffers }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('post' as const), ...buffers }) },
  { weight: 6, arbitrary: fc.constant({ do: 'take' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('complete' as const),
      which: fc.nat(),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'receive' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unfetch' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('calls' as const), on: fc.boolean() }) },
);

interface Sent {
  readonly head: number;
  readonly request: Buffer;
  readonly room: number;
}

/** Runs the steps; every assertion compares with the lists. */
function run(
  options: { packed: boolean; inOrder: boolean; eventIdx: boolean; indirect: boolean; size: number },
  steps: readonly Step[],
  start: number,
): void {
  using driver = new MockDriver(sys, { ...options, maxIndirect: 12, ramBytes: 0x8_0000 });
  const end = driver.queue(0);
  const queue = end.openDevice();
  // Walks the indexes to their start, so that runs also cross 65536.
  for (let i = 0; i < start; i++) {
    end.send([Buffer.of(1)]);
    queue.complete(queue.next()!, 0);
    end.receive();
  }
  let posted: Sent[] = [];
  const available: Sent[] = [];
  const taken: { chain: Chain; sent: Sent; place: number }[] = [];
  let takes = 0;
  /** In the order of their completion, or of their taking with IN_ORDER, where those behind an open one wait. */
  const completed: { sent: Sent; reply: Buffer; place: number }[] = [];
  const visible = (): { sent: Sent; reply: Buffer }[] => {
    if (!options.inOrder) return completed.splice(0);
    completed.sort((a, b) => a.place - b.place);
    const oldest = Math.min(...taken.map((t) => t.place));
    const behind = completed.findIndex((c) => c.place > oldest);
    return completed.splice(0, behind < 0 ? completed.length : behind);
  };
  const free = (): number =>
    options.size - [...posted, ...available, ...taken.map((t) => t.sent), ...completed.map((c) => c.sent)].length;
  for (const one of steps) {
    if (one.do === 'send' || one.do === 'post') {
      if (one.readable.length + one.writable.length === 0) continue;
      const needed = options.indirect ? 1 : one.readable.length + one.writable.length;
      if (needed > end.driver.freeDescriptors) {
        expect(() => end.post(one.readable, one.writable)).to.throw(RangeError);
        continue;
      }
      expect(free()).to.be.greaterThan(0);
      const head = end.post(one.readable, one.writable);
      posted.push({ head, request: Buffer.concat(one.readable), room: one.writable.reduce((a, b) => a + b, 0) });
      if (one.do === 'send') {
        end.driver.publish();
        available.push(...posted);
        posted = [];
      }
    } else if (one.do === 'take') {
      const expected = available.shift();
      expect(queue.hasWork).to.equal(expected !== undefined);
      const chain = queue.next();
      if (expected === undefined) {
        expect(chain).to.equal(null);
        continue;
      }
      expect([chain!.head, chain!.readBytes, chain!.writeBytes]).to.deep.equal([
        expected.head,
        expected.request.length,
        expected.room,
      ]);
      const request = Buffer.alloc(expected.request.length);
      expect(chain!.read(0, request, 0, request.length + 7)).to.equal(request.length);
      expect(request.equals(expected.request)).to.equal(true);
      taken.push({ chain: chain!, sent: expected, place: takes++ });
    } else if (one.do === 'complete') {
      if (taken.length === 0) continue;
      const { chain, sent, place } = taken.splice(one.which % taken.length, 1)[0]!;
      const reply = Buffer.alloc(Math.floor(sent.room * one.share), sent.head + 1);
      const half = reply.length >> 1;
      expect(chain.write(half, reply, half, reply.length - half)).to.equal(reply.length - half);
      expect(chain.write(0, reply, 0, half)).to.equal(half);
      queue.complete(chain, reply.length);
      completed.push({ sent, reply, place });
    } else if (one.do === 'receive') {
      queue.flush();
      const replies = end.receiveAll();
      expect(replies.map((r) => [r.head, Buffer.from(r.data).toString('hex')])).to.deep.equal(
        visible().map((c) => [c.sent.head, c.reply.toString('hex')]),
      );
    } else if (one.do === 'calls') {
      if (one.on) end.driver.enableCalls();
      else end.driver.disableCalls();
    } else if (taken.length > 0) {
      const from = one.which % taken.length;
      const back = taken.slice(from);
      const { chain, place } = back[0]!;
      expect(queue.unfetch(chain)).to.equal(takes - place === back.length);
      if (takes - place === back.length) {
        taken.length = from;
        takes = place;
        available.unshift(...back.map((t) => t.sent));
      }
    }
    expect(queue.inFlight).to.equal(taken.length);
    expect(end.errors).to.deep.equal([]);
  }
  expect(queue.healthy).to.equal(true);
}

const formats = [
  { packed: false, inOrder: false },
  { packed: true, inOrder: false },
  { packed: false, inOrder: true },
  { packed: true, inOrder: true },
];

describe('driver and device (property)', () => {
  for (const format of formats) {
    const name = `${format.packed ? 'packed' : 'split'}${format.inOrder ? ', in order' : ''}`;
    for (const eventIdx of [true, false]) {
      for (const indirect of [true, false]) {
        it(`exchange random chains in any order (${name}, event idx ${eventIdx}, indirect ${indirect})`, () => {
          using _leaks = leakCheck();
          const size = format.packed ? fc.constantFrom(4, 5, 7, 32) : fc.constantFrom(4, 8, 32);
          fc.assert(
            fc.property(size, fc.array(step, { maxLength: 120 }), fc.constantFrom(0, 3), (entries, steps, start) => {
              run({ ...format, eventIdx, indirect, size: entries }, steps, start);
            }),
            { numRuns: 60 },
          );
        });
      }

      it(`cross the end of the 16-bit indexes, or many laps (${name}, event idx ${eventIdx})`, () => {
        const start = format.packed ? 1000 : 65_530;
        fc.assert(
          fc.property(fc.array(step, { minLength: 100, maxLength: 160 }), (steps) => {
            run({ ...format, eventIdx, indirect: true, size: 8 }, steps, start);
          }),
          { numRuns: 3 },
        );
      });
    }
  }
});
