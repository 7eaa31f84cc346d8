import { expect } from 'chai';
import fc from 'fast-check';
import { checkShmRegions, FeatureSet, profileFor, profiles } from '../src/index.ts';
import { collectLog } from './support/setup.ts';

describe('FeatureSet', () => {
  it('holds bits 0 to 63 and prints as hex', () => {
    const set = FeatureSet.of(0, 31, 32, 63);
    expect([set.lo, set.hi]).to.deep.equal([0x8000_0001, 0x8000_0001]);
    expect(set.bits()).to.deep.equal([0, 31, 32, 63]);
    expect(String(set)).to.equal('0x8000000180000001');
    expect(String(FeatureSet.of(4))).to.equal('0x10');
    expect(String(FeatureSet.of(36, 0))).to.equal('0x1000000001');
    expect(String(new FeatureSet())).to.equal('0x0');
  });

  it('refuses bits that it cannot hold', () => {
    for (const bit of [-1, 64, 0.5, Number.NaN]) {
      expect(() => FeatureSet.of(bit)).to.throw(RangeError);
    }
  });

  it('is a set of bits', () => {
    const bits = fc.uniqueArray(fc.integer({ min: 0, max: 63 }));
    fc.assert(
      fc.property(bits, bits, (a, b) => {
        const [setA, setB] = [FeatureSet.of(...a), FeatureSet.of(...b)];
        const sorted = (list: number[]) => list.toSorted((x, y) => x - y);
        expect(setA.bits()).to.deep.equal(sorted(a));
        expect(setA.and(setB).bits()).to.deep.equal(sorted(a.filter((bit) => b.includes(bit))));
        expect(setA.minus(setB).bits()).to.deep.equal(sorted(a.filter((bit) => !b.includes(bit))));
        expect(setA.without(...b).equals(setA.minus(setB))).to.equal(true);
        expect(setA.with(...b).bits()).to.deep.equal(sorted([...new Set([...a, ...b])]));
        expect(setA.isEmpty).to.equal(a.length === 0);
        expect(a.every((bit) => setA.has(bit))).to.equal(true);
      }),
      { seed: 1 },
    );
  });
});

describe('profiles', () => {
  it('knows what was found out about each front-end', () => {
    expect(profiles.qemu).to.include({
      shmemBit: 22,
      visibility: 'memory-update',
      resetClears: true,
      refusalIsFatal: false,
    });
    expect(profiles.qemu.limits).to.include({ maxMappings: 480, insideFile: true, overlap: 'refuse', unmap: 'exact' });
    expect(profiles.crosvm).to.include({ shmemBit: 22, visibility: 'reply', resetClears: false, refusalIsFatal: true });
    expect(profiles.alioth).to.include({ shmemBit: 21, visibility: 'reply', refusalIsFatal: true });
    expect(profiles.alioth.limits).to.include({ overlap: 'replace', unmap: 'range' });
    expect(Object.keys(profiles).every((name) => profiles[name as 'qemu'].name === name)).to.equal(true);
  });

  it('takes the page size of the host', () => {
    expect(profileFor('qemu', 4096)).to.equal(profiles.qemu);
    expect(profileFor('qemu', 65536).limits).to.deep.equal({ ...profiles.qemu.limits, pageSize: 65536 });
  });
});

describe('checkShmRegions', () => {
  const MIB = 1024 * 1024;
  const check = (name: keyof typeof profiles, ...sizes: [number, number][]) => {
    const { log, lines } = collectLog();
    checkShmRegions(
      sizes.map(([shmid, size]) => ({ shmid, size })),
      profiles[name],
      log,
    );
    return lines.length;
  };

  it('accepts what the front-end bears, and warns of a large window', () => {
    expect(check('qemu')).to.equal(0);
    expect(check('qemu', [0, 64 * MIB])).to.equal(0);
    expect(check('qemu', [0, 96 * MIB], [1, 32 * MIB])).to.equal(0);
    expect(check('qemu', [0, 512 * MIB])).to.equal(1);
    expect(check('crosvm', [0, 48 * MIB])).to.equal(0);
  });

  const refused: [string, keyof typeof profiles, [number, number][], string][] = [
    ['a sum that is no power of two on QEMU', 'qemu', [[0, 48 * MIB]], 'power of two'],
    [
      'two regions on crosvm',
      'crosvm',
      [
        [0, MIB],
        [1, MIB],
      ],
      'at most 1',
    ],
    ['a size off the page', 'strict', [[0, 4097]], 'page size'],
    ['an empty region', 'strict', [[0, 0]], 'page size'],
    ['shmid 256', 'strict', [[256, MIB]], 'shmid 256'],
    [
      'an shmid twice',
      'strict',
      [
        [3, MIB],
        [3, MIB],
      ],
      'shmid 3',
    ],
  ];
  for (const [what, name, sizes, text] of refused) {
    it(`refuses ${what}`, () => {
      expect(() => check(name, ...sizes)).to.throw(RangeError, text);
    });
  }
});
