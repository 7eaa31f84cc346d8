import { expect } from 'chai';
import { Outputs, putDisplayInfo } from '../../src/display/outputs.ts';
import { GpuError } from '../../src/errors.ts';

const OFF = { x: 0, y: 0, width: 0, height: 0, enabled: false };

describe('Outputs', () => {
  it('stand side by side, unplugged ones aside', () => {
    const outputs = new Outputs([
      { width: 640, height: 480 },
      { width: 320, height: 200, enabled: false },
      { width: 1920, height: 1080 },
    ]);
    expect(outputs.numScanouts).to.equal(3);
    expect(outputs.list()).to.deep.equal([
      { x: 0, y: 0, width: 640, height: 480, enabled: true },
      OFF,
      { x: 640, y: 0, width: 1920, height: 1080, enabled: true },
    ]);
  });

  it('may be fewer than there can be, or none', () => {
    expect(new Outputs([{ width: 16, height: 16384 }], 2).list()).to.deep.equal([
      { x: 0, y: 0, width: 16, height: 16384, enabled: true },
      OFF,
    ]);
    expect(new Outputs([]).list()).to.deep.equal([]);
  });

  it('tell whether something changed', () => {
    const outputs = new Outputs([{ width: 640, height: 480 }], 2);
    expect(outputs.set([{ width: 640, height: 480, enabled: true }])).to.equal(false);
    expect(outputs.set([{ width: 640, height: 481 }])).to.equal(true);
    expect(outputs.set([])).to.equal(true);
    expect(outputs.list()).to.deep.equal([OFF, OFF]);
    expect(outputs.set([{ width: 640, height: 481, enabled: false }])).to.equal(false);
    expect(
      outputs.set([
        { width: 640, height: 481 },
        { width: 16, height: 16 },
      ]),
    ).to.equal(true);
  });

  it('give a list that later changes leave alone', () => {
    const outputs = new Outputs([{ width: 640, height: 480 }]);
    const before = outputs.list();
    outputs.set([]);
    expect(before[0]!.enabled).to.equal(true);
  });

  for (const [what, sizes, count] of [
    ['17 outputs', [], 17],
    ['a broken number of outputs', [], 1.5],
    [
      'more sizes than outputs',
      [
        { width: 640, height: 480 },
        { width: 640, height: 480 },
      ],
      1,
    ],
    ['a width of 15', [{ width: 15, height: 480 }], 1],
    ['a height of 16385', [{ width: 640, height: 16385 }], 1],
    ['a broken width', [{ width: 640.5, height: 480 }], 1],
    ['no number', [{ width: Number.NaN, height: 480 }], 1],
  ] as const) {
    it(`refuse ${what}`, () => {
      expect(() => new Outputs(sizes, count))
        .to.throw(GpuError)
        .with.property('code', 'ERR_GPU_OPTION');
    });
  }

  it('change nothing when one size is refused', () => {
    const outputs = new Outputs([
      { width: 640, height: 480 },
      { width: 640, height: 480 },
    ]);
    expect(() =>
      outputs.set([
        { width: 800, height: 600 },
        { width: 1, height: 1 },
      ]),
    ).to.throw(GpuError);
    expect(outputs.list()[0]).to.deep.include({ width: 640, height: 480 });
  });

  it('have an EDID each, also while unplugged', () => {
    const outputs = new Outputs([{ width: 640, height: 480 }], 2);
    expect(outputs.edid(0)).to.have.length(128);
    expect(outputs.edid(1)).to.have.length(128);
    outputs.set([]);
    const width = (edid: Uint8Array): number => edid[56]! | ((edid[58]! >> 4) << 8);
    expect(width(outputs.edid(0))).to.equal(640);
    expect(width(outputs.edid(1))).to.equal(1280);
    expect(() => outputs.edid(2)).to.throw(RangeError);
  });

  it('become 16 entries of a display info', () => {
    const bytes = new Uint8Array(410).fill(0xee);
    const outputs = new Outputs([
      { width: 640, height: 480 },
      { width: 0x1234, height: 0x2345 },
    ]);
    putDisplayInfo(outputs.list(), new DataView(bytes.buffer), 25);
    const expected = new Uint8Array(410).fill(0xee, 0, 25);
    expected.set([0, 0, 0, 0, 0, 0, 0, 0, 0x80, 2, 0, 0, 0xe0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], 25);
    expected.set([0x80, 2, 0, 0, 0, 0, 0, 0, 0x34, 0x12, 0, 0, 0x45, 0x23, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0], 49);
    expected[409] = 0xee;
    expect(bytes).to.deep.equal(expected);
  });
});
