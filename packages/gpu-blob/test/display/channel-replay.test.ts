import { openSys, type Pointer, type RecvResult } from '@oriel/sys';
import { leakCheck, mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import fc from 'fast-check';
import { HeadlessSink } from '../../src/display/framebuffers.ts';
import type { DisplaySink } from '../../src/display/sink.ts';
import { ChannelSetup, sourceOf } from '../support/channel-setup.ts';
import type { DisplayMessage } from '../support/display-peer.ts';

const SIZE = 48;
const small = fc.integer({ min: 1, max: 16 });
const at = fc.integer({ min: 0, max: SIZE - 16 });
const scanout = fc.nat(1);
const byte = fc.nat(255);
const kind = fc.constantFrom('direct' as const, 'gathered' as const);

type Step = (sink: DisplaySink, done: () => void) => void;

const update = fc.record({ scanout, x: at, y: at, width: small, height: small, byte, kind }).map(
  (one): Step =>
    (sink, done) => {
      const pixels = new Uint8Array(one.width * one.height * 4).fill(one.byte);
      sink.update(one.scanout, one.x, one.y, sourceOf(one.width, one.height, pixels, one.kind), done);
    },
);
const resize = fc.record({ scanout, width: fc.constantFrom(SIZE, SIZE + 8), height: fc.constant(SIZE) }).map(
  (one): Step =>
    (sink) =>
      sink.setScanout(one.scanout, one.width, one.height),
);
const cursor = fc.record({ scanout, x: at, y: at, byte }).map(
  (one): Step =>
    (sink) =>
      sink.updateCursor(one.scanout, one.x, one.y, 1, 2, new Uint8Array(16384).fill(one.byte)),
);
const move = fc.record({ scanout, x: at, y: at, hides: fc.boolean() }).map(
  (one): Step =>
    (sink) =>
      one.hides ? sink.hideCursor(one.scanout, one.x, one.y) : sink.moveCursor(one.scanout, one.x, one.y),
);

/** What a front-end does with a message, with a headless sink as its display. */
function replay({ request, payload }: DisplayMessage, sink: DisplaySink): void {
  const view = new DataView(payload.buffer);
  const [a, b, c, d, e] = [0, 4, 8, 12, 16].map((offset) =>
    offset + 4 <= payload.length ? view.getUint32(offset, true) : 0,
  );
  if (request === 4) {
    sink.moveCursor(a!, b!, c!);
  } else if (request === 5) {
    sink.hideCursor(a!, b!, c!);
  } else if (request === 6) {
    sink.updateCursor(a!, b!, c!, d!, e!, payload.subarray(20));
  } else if (request === 7) {
    sink.setScanout(a!, b!, c!);
  } else {
    expect(request).to.equal(8);
    sink.update(a!, b!, c!, sourceOf(d!, e!, payload.subarray(20), 'direct'), () => {});
  }
}

describe('DisplayChannel', () => {
  it('shows in the end what a display in this process shows, however little a socket takes at a time', function () {
    this.timeout(20_000);
    const leaks = leakCheck();
    const real = openSys();
    const script = fc.array(fc.oneof(update, resize, cursor, move), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(
        script,
        fc.integer({ min: 1, max: 6000 }),
        fc.integer({ min: 1, max: 9 }),
        (steps, sendMax, everyNth) => {
          const sys = mockSys(
            {
              socket: {
                sendmsg: (fd: number, from: Pointer, len: number, fds: Int32Array | null, count: number) =>
                  real.socket.sendmsg(fd, from, Math.min(len, sendMax), fds, count),
                recvmsg: (fd: number, to: Pointer, len: number, result: RecvResult) =>
                  real.socket.recvmsg(fd, to, Math.min(len, 1), result),
              },
            },
            real,
          );
          using setup = new ChannelSetup(sys);
          using here = new HeadlessSink();
          using there = new HeadlessSink();
          let owed = 0;
          let done = 0;
          const drain = (): void => {
            for (let message = setup.peer.next(); message !== null && message !== 'eof'; message = setup.peer.next()) {
              replay(message, there);
            }
          };
          setup.agree();
          for (const [index, step] of steps.entries()) {
            step(here, () => owed++);
            step(setup.channel, () => done++);
            if (index % everyNth === 0) {
              drain();
            }
          }
          drain();
          expect(done).to.equal(owed);
          for (const which of [0, 1]) {
            expect(there.frame(which)).to.deep.equal(here.frame(which));
            expect(there.cursor(which)).to.deep.equal(here.cursor(which));
          }
        },
      ),
      { numRuns: 60 },
    );
    leaks.check();
  });
});
