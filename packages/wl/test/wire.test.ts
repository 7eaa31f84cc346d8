import { expect } from 'chai';
import fc from 'fast-check';
import {
  ArgumentReader,
  type ArgumentValue,
  encodeMessage,
  interfaceNames,
  interfaceOf,
  type Message,
  MessageStream,
  WlError,
} from '../src/index.ts';

const messages = interfaceNames().flatMap((name) => [...interfaceOf(name)!.requests, ...interfaceOf(name)!.events]);

/** Values for the arguments of a message; strings without NUL. */
function valuesFor(message: Message): fc.Arbitrary<ArgumentValue[]> {
  const of = {
    s: fc.string({ maxLength: 50 }).filter((text) => !text.includes('\0')),
    a: fc.uint8Array({ maxLength: 50 }),
  };
  const word = fc.nat();
  return fc.tuple(
    ...message.args.flatMap(({ kind }) => (kind === 'h' ? [] : [kind === 's' ? of.s : kind === 'a' ? of.a : word])),
  ) as fc.Arbitrary<ArgumentValue[]>;
}

const anyMessage = fc
  .constantFrom(...messages)
  .chain((message) =>
    fc.record({ message: fc.constant(message), id: fc.nat(), opcode: fc.nat(0xffff), values: valuesFor(message) }),
  );

function fill(stream: MessageStream, bytes: Uint8Array): void {
  stream.room(bytes.length).set(bytes);
  stream.filled(bytes.length);
}

describe('the wire format', () => {
  it('is what the protocol says, byte for byte', () => {
    const bind = interfaceOf('wl_registry')!.requests[0]!;
    const bytes = encodeMessage(2, 0, bind, [7, 'wl_shm', 1, 3]);
    expect(Buffer.from(bytes).toString('hex')).to.equal(
      `${'02000000'}${'00002000'}${'07000000'}${'07000000'}776c5f73686d0000${'01000000'}${'03000000'}`,
    );
    expect(() => encodeMessage(2, 0, bind, [7])).to.throw(RangeError);
    expect(() => encodeMessage(2, 0, bind, [7, 'x'.repeat(70_000), 1, 3])).to.throw(RangeError);
  });

  it('gives back every value, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 20 }), fc.integer({ min: 1, max: 200 }), (sent, cut) => {
        const bytes = Buffer.concat(
          sent.map(({ id, opcode, message, values }) => encodeMessage(id, opcode, message, values)),
        );
        const stream = new MessageStream();
        const reader = new ArgumentReader();
        const seen: unknown[] = [];
        for (let at = 0; at < bytes.length; at += cut) {
          fill(stream, bytes.subarray(at, at + cut));
          while (stream.next()) {
            const { message } = sent[seen.length]!;
            const args = reader.read(message, stream.view, stream.start, stream.size);
            const values = message.args.flatMap<string | number | null>(({ kind }, index) =>
              kind === 'h' ? [] : kind === 's' ? [args.text(index)] : kind === 'a' ? [null] : [args.uint(index)],
            );
            seen.push([stream.objectId, stream.opcode, values]);
          }
        }
        expect(stream.pending).to.equal(0);
        const plain = (values: readonly ArgumentValue[]) =>
          values.map((value) => (value instanceof Uint8Array ? null : value));
        expect(seen).to.deep.equal(sent.map(({ id, opcode, values }) => [id, opcode, plain(values)]));
      }),
    );
  });

  it('refuses sizes that no message has', () => {
    for (const size of [0, 4, 7, 9, 13]) {
      const stream = new MessageStream();
      fill(stream, Uint8Array.of(1, 0, 0, 0, 0, 0, size, 0));
      expect(() => stream.next())
        .to.throw(WlError)
        .with.property('code', 'ERR_WL_SIZE');
    }
  });

  it('never reads beyond a message, whatever it says', () => {
    fc.assert(
      fc.property(fc.constantFrom(...messages), fc.uint8Array({ maxLength: 80 }), (message, body) => {
        const bytes = new Uint8Array(8 + (body.length & ~3));
        bytes.set(body.subarray(0, body.length & ~3), 8);
        try {
          const args = new ArgumentReader().read(message, new DataView(bytes.buffer), 0, bytes.length);
          message.args.forEach(({ kind }, index) => {
            if (kind === 's') args.text(index);
            else if (kind !== 'h' && kind !== 'a') args.uint(index);
          });
        } catch (error) {
          expect(error).to.be.instanceOf(WlError).with.property('code', 'ERR_WL_ARGUMENT');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('holds the longest message beside the start of the next', () => {
    const stream = new MessageStream();
    const set = interfaceOf('xdg_toplevel')!.requests[2]!;
    const long = encodeMessage(5, 2, set, ['x'.repeat(65_500)]);
    fill(stream, long.subarray(0, 1000));
    expect(stream.next()).to.equal(false);
    fill(stream, long.subarray(1000));
    fill(stream, long);
    expect([stream.next(), stream.size, stream.next(), stream.next()]).to.deep.equal([true, long.length, true, false]);
    expect(stream.message).to.deep.equal(long);
  });
});
