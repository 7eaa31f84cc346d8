import { BlockingLoop, check, Fd, openSys } from '@oriel/sys';
import { leakCheck } from '@oriel/sys/testing';
import { expect } from 'chai';
import { DisplayReader } from '../src/gpu/driver/display-reader.ts';

const sys = openSys();
const UPDATE = 8;

function message(request: number, words: readonly number[], pixels: readonly number[] = []): Uint8Array {
  const body = new Uint8Array([...new Uint8Array(Uint32Array.from(words).buffer), ...pixels]);
  return new Uint8Array([...new Uint8Array(Uint32Array.of(request, 0, body.length).buffer), ...body]);
}

/** Gives bytes to a display of 2 x 2 pixels, each piece by itself. */
function show(pieces: readonly Uint8Array[], look: (reader: DisplayReader, answers: Uint8Array) => void): void {
  using loop = new BlockingLoop(sys);
  const ends = new Int32Array(2);
  check(sys.socket.socketpair(ends), 'socketpair');
  using theirs = new Fd(sys.fd, ends[1]!);
  using reader = new DisplayReader(sys, loop, new Fd(sys.fd, ends[0]!), 2, 2);
  for (const piece of pieces) {
    check(sys.fd.write(theirs.fd, piece, piece.length), 'write');
    while (loop.runOnce(0) > 0);
  }
  const answers = new Uint8Array(64);
  const got = sys.fd.read(theirs.fd, answers, answers.length);
  look(reader, answers.subarray(0, Math.max(got, 0)));
}

describe('DisplayReader', () => {
  let leaks: ReturnType<typeof leakCheck>;

  beforeEach(() => {
    leaks = leakCheck();
  });

  afterEach(() => leaks[Symbol.dispose]());

  it('takes a picture in bands, however they are cut', () => {
    const pixels = Array.from({ length: 16 }, (_, i) => i + 1);
    const bytes = new Uint8Array([
      ...message(7, [0, 2, 2]),
      ...message(UPDATE, [0, 0, 0, 2, 1], pixels.slice(0, 8)),
      ...message(UPDATE, [0, 0, 1, 2, 1], pixels.slice(8)),
    ]);
    const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
    for (const pieces of [[bytes], single, [bytes.subarray(0, 50), bytes.subarray(50)]]) {
      show(pieces, (reader) => {
        expect(reader.problem).to.equal('');
        expect(reader.pictures).to.equal(1);
        expect([...reader.picture]).to.deep.equal(pixels);
      });
    }
  });

  it('answers that it has no features', () => {
    show([message(1, [])], (_, answers) => {
      expect(Buffer.from(answers).toString('hex')).to.equal('01000000040000000800000000000000' + '00000000');
    });
  });

  for (const [name, bytes] of [
    ['below its end', message(UPDATE, [0, 0, 1, 2, 2], Array(16).fill(0))],
    ['narrower than it', message(UPDATE, [0, 0, 0, 1, 1], Array(4).fill(0))],
    ['with too few pixels', message(UPDATE, [0, 0, 0, 2, 2], Array(4).fill(0))],
  ] as const) {
    it(`does not take an update ${name}`, () => {
      show([bytes], ({ problem, pictures }) => {
        expect(problem).to.match(/^update of /);
        expect(pictures).to.equal(0);
      });
    });
  }

  it('does not take a message without a bound', () => {
    show([message(6, Array(100).fill(0))], ({ problem }) => expect(problem).to.equal('request 6 of 400 bytes'));
  });
});
