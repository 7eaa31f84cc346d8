import { expect } from 'chai';
import fc from 'fast-check';
import { makeEdid } from '../../src/display/edid.ts';
import { decodeEdid } from '../support/decode-edid.ts';

const pixels = fc.integer({ min: 16, max: 16384 });

describe('makeEdid', () => {
  for (const [width, height] of [
    [16, 16],
    [640, 480],
    [1280, 800],
    [1366, 768],
    [1920, 1080],
    [3840, 2160],
  ]) {
    it(`puts ${width} x ${height} into the base block`, () => {
      const edid = makeEdid({ width: width!, height: height!, scanout: 0 });
      expect(edid).to.have.length(128);
      const { modes } = decodeEdid(edid);
      expect(modes).to.have.length(1);
      expect(modes[0]).to.include({ width, height, preferred: true });
      expect(modes[0]!.refreshHz).to.be.closeTo(60, 0.1);
    });
  }

  for (const [width, height, base] of [
    [4095, 4095, '4095x4095'],
    [4096, 2160, '2048x1080'],
    [7680, 4320, '3840x2160'],
    [16384, 16384, '3276x3276'],
    [16384, 16, '3276x3'],
    [16, 16384, '3x3276'],
  ] as const) {
    it(`puts ${width} x ${height} into an extension`, () => {
      const edid = makeEdid({ width, height, scanout: 0 });
      expect(edid).to.have.length(256);
      const { modes } = decodeEdid(edid);
      expect(`${modes[0]!.width}x${modes[0]!.height}`).to.equal(base);
      expect(modes[1]).to.include({ width, height, preferred: true });
      expect(modes[1]!.refreshHz).to.be.closeTo(60, 0.1);
    });
  }

  it('has the timings of CVT with reduced blanking', () => {
    // VESA CVT 1.1 has 154.00 MHz here, since it rounds to 0.25 MHz: 2080 x 1235 in all.
    const [mode] = decodeEdid(makeEdid({ width: 1920, height: 1200, scanout: 0 })).modes;
    expect(mode).to.deep.include({ clockKhz: 154130, hSync: [48, 32], vSync: [3, 6] });
  });

  it('is the same, byte for byte', () => {
    const edid = Buffer.from(makeEdid({ width: 1280, height: 800, scanout: 2 })).toString('hex');
    expect(edid.match(/.{32}/g)).to.deep.equal([
      '00ffffffffffff003e4c010003000000',
      '00240104a021147806ee91a3544c9926',
      '0f505421080081c00101010101010101',
      '010101010101c71b00a0502017303020',
      '360045cb1000001a000000fd00324b1e',
      'a014010a202020202020000000fc004f',
      '7269656c0a20202020202020000000ff',
      edid.slice(-32),
    ]);
    expect(edid.slice(-32, -2)).to.equal('007363616e6f75742d320a20202000');
  });

  it('names itself, and each scanout differently', () => {
    for (const scanout of [0, 15]) {
      const decoded = decodeEdid(makeEdid({ width: 1280, height: 800, scanout }));
      expect(decoded).to.include({ vendor: 'ORL', name: 'Oriel' });
      expect(decoded).to.include({ serial: scanout + 1, serialText: `scanout-${scanout}` });
    }
  });

  it('offers only well-known modes that fit', () => {
    const known = (width: number, height: number) => decodeEdid(makeEdid({ width, height, scanout: 0 })).wellKnown;
    expect(known(639, 480)).to.deep.equal([]);
    expect(known(1024, 768)).to.deep.equal(['640x480', '800x600', '1024x768']);
    expect(known(1920, 1080)).to.include.members(['1920x1080', '1680x1050', '1280x720']);
    expect(known(1920, 1080)).to.not.include('1920x1200');
    expect(known(16384, 16384)).to.have.length(11);
  });

  it('is as large as 100 dots per inch make it, where the field allows', () => {
    expect(decodeEdid(makeEdid({ width: 2000, height: 1000, scanout: 0 }))).to.include({ widthCm: 51, heightCm: 25 });
    expect(decodeEdid(makeEdid({ width: 16384, height: 16, scanout: 0 }))).to.include({ widthCm: 255, heightCm: 1 });
  });

  it('says no range limits that are too large for their fields', () => {
    expect(decodeEdid(makeEdid({ width: 16384, height: 16384, scanout: 0 })).rangeLimits).to.equal(null);
    expect(decodeEdid(makeEdid({ width: 7680, height: 4320, scanout: 0 })).rangeLimits).to.include({ maxKhz: 267 });
  });

  it('is valid for any size, and within its own range limits', () => {
    fc.assert(
      fc.property(pixels, pixels, fc.nat(15), (width, height, scanout) => {
        const { modes, rangeLimits } = decodeEdid(makeEdid({ width, height, scanout }));
        expect(modes.at(-1)).to.include({ width, height, preferred: true });
        expect(modes.at(-1)!.refreshHz).to.be.closeTo(60, 0.1);
        for (const { clockKhz, refreshHz } of rangeLimits === null ? [] : modes) {
          expect(clockKhz).to.be.within(10_000, rangeLimits!.maxMhz * 1000);
          expect(refreshHz).to.be.within(rangeLimits!.minHz, rangeLimits!.maxHz);
        }
      }),
    );
  });
});
