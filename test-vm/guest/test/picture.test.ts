import { expect } from 'chai';
import { encode } from 'fast-png';
import { fillPattern, findWrong } from '../src/pattern.ts';
import { paintPattern, patternPicture, pictureDifference, readPng, withCursor } from '../src/picture.ts';

describe('pictures and patterns of the guest suites', () => {
  it('find one wrong word, and the pattern of another blob', () => {
    const words = new Uint32Array(2048);
    fillPattern(words, 7, 1);
    expect(findWrong(words, 7, 1)).to.equal(undefined);
    expect(findWrong(words, 8, 1)).to.equal(0);
    expect(findWrong(words, 7, 2)).to.equal(0);
    words[1234] = words[1234]! ^ 0x100;
    expect(findWrong(words, 7, 1)).to.equal(1234 * 4);
  });

  it('find one wrong pixel, another size and a part that was drawn', () => {
    const expected = patternPicture(70, 40, 3);
    const picture = { ...expected, pixels: expected.pixels.slice() };
    expect(pictureDifference(picture, expected)).to.equal(undefined);
    picture.pixels[5 * 70 + 9] = expected.pixels[5 * 70 + 9]! ^ 1;
    expect(pictureDifference(picture, expected)).to.match(/^1 pixels, the first at \(9, 5\)/);
    expect(pictureDifference(patternPicture(70, 41, 3), expected)).to.equal('70 x 41 instead of 70 x 40');
    paintPattern(picture, { x: 9, y: 5, width: 1, height: 1 }, 3);
    expect(pictureDifference(picture, expected)).to.equal(undefined);
  });

  it('draw a cursor that is cut at the borders', () => {
    const picture = patternPicture(100, 80, 1);
    expect(pictureDifference(withCursor(picture, -64, 0, 9), picture)).to.equal(undefined);
    expect(pictureDifference(withCursor(picture, 99, 79, 9), picture)).to.match(/^1 pixels, the first at \(99, 79\)/);
  });

  it('read what a PNG holds', () => {
    const expected = patternPicture(33, 21, 2);
    for (const channels of [3, 4] as const) {
      const data = new Uint8Array(33 * 21 * channels).fill(255);
      expected.pixels.forEach((pixel, i) => {
        data.set([pixel >> 16, (pixel >> 8) & 0xff, pixel & 0xff], i * channels);
      });
      const png = encode({ width: 33, height: 21, channels, depth: 8, data });
      expect(pictureDifference(readPng(png), expected)).to.equal(undefined);
    }
    const grey = encode({ width: 1, height: 1, channels: 1, depth: 8, data: new Uint8Array(1) });
    expect(() => readPng(grey)).to.throw('1 x 8 bits');
  });
});
