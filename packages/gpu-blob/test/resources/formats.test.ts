import { expect } from 'chai';
import fc from 'fast-check';
import * as values from '../../src/protocol/values.ts';
import { orderOf, reorder } from '../../src/resources/formats.ts';

/** Every format by its name, which tells the byte order. */
const FORMATS = Object.entries(values).flatMap(([name, value]) => {
  const match = /^VIRTIO_GPU_FORMAT_(.)8(.)8(.)8(.)8_UNORM$/.exec(name);
  return match === null ? [] : [{ name, value: value as number, channels: match.slice(1) }];
});

describe('formats', () => {
  it('knows eight, and no other', () => {
    expect(FORMATS.map(({ value }) => value).toSorted((a, b) => a - b)).to.deep.equal([1, 2, 3, 4, 67, 68, 121, 134]);
    for (const { value } of FORMATS) expect(orderOf(value)).not.to.equal(null);
    for (const value of [0, 5, 66, 69, 120, 122, 133, 135, 257, 0xffff_ffff]) expect(orderOf(value)).to.equal(null);
  });

  for (const { name, value, channels } of FORMATS) {
    it(`${name} becomes B, G, R and the fourth byte kept`, () => {
      // Blue 0x1f, green 0x2e, red 0xfd, the fourth 0xcc: high bits, so that a sign would show.
      const code: Record<string, number> = { B: 0x1f, G: 0x2e, R: 0xfd, A: 0xcc, X: 0xcc };
      const pixel = channels.map((channel) => code[channel]!);
      const wanted = [0x1f, 0x2e, 0xfd, 0xcc];
      for (const start of [0, 4, 1, 2, 3]) {
        const bytes = new Uint8Array(20).fill(0x77);
        bytes.set([...pixel, ...pixel], start);
        reorder(orderOf(value)!, bytes, start, 2);
        const expected = new Uint8Array(20).fill(0x77);
        expected.set([...wanted, ...wanted], start);
        expect([...bytes], `at ${start}`).to.deep.equal([...expected]);
      }
    });
  }

  it('moves any pixels as their names say (property)', () => {
    const input = fc.uint8Array({ minLength: 0, maxLength: 80 });
    fc.assert(
      fc.property(input, fc.nat(3), fc.constantFrom(...FORMATS), (pixels, start, { value, channels }) => {
        const count = Math.floor(pixels.length / 4);
        const bytes = new Uint8Array(start + count * 4);
        bytes.set(pixels.subarray(0, count * 4), start);
        reorder(orderOf(value)!, bytes, start, count);
        const from = ['B', 'G', 'R'].map((channel) => channels.indexOf(channel));
        from.push(channels.findIndex((channel) => channel === 'A' || channel === 'X'));
        for (let i = 0; i < count * 4; i++) {
          expect(bytes[start + i]).to.equal(pixels[(i & ~3) + from[i % 4]!]);
        }
      }),
    );
  });
});
