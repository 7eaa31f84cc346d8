import { expect } from 'chai';
import fc from 'fast-check';
import { InodeIndex } from '../src/inode-index.ts';

const SLOTS = 600;
const DEVICES = [1, 2];

/** An index with its columns. */
function table() {
  const devices = new Int32Array(SLOTS + 1);
  const inos = new Uint32Array(2 * (SLOTS + 1));
  const index = new InodeIndex();
  index.useColumns(inos, devices);
  const add = (slot: number, device: number, inoLo: number, inoHi = 0): void => {
    devices[slot] = DEVICES[device]!;
    inos[2 * slot] = inoLo;
    inos[2 * slot + 1] = inoHi;
    index.add(slot);
  };
  return { index, inos, add };
}

describe('InodeIndex', () => {
  it('tells devices and all 64 bits of a number apart', () => {
    const { index, add } = table();
    add(2, 0, 5);
    add(3, 1, 5);
    add(4, 0, 5, 0xffff_ffff);
    const found = [
      index.slotOf(DEVICES[0]!, 5, 0),
      index.slotOf(DEVICES[1]!, 5, 0),
      index.slotOf(DEVICES[0]!, 5, 2 ** 32 - 1),
    ];
    expect(found).to.deep.equal([2, 3, 4]);
    expect(index.slotOf(DEVICES[1]!, 5, 0xffff_ffff)).to.equal(-1);
  });

  it('forgets nothing for an inode whose number stands for a newer one', () => {
    const { index, add } = table();
    add(2, 0, 5);
    add(3, 0, 5);
    index.delete(2);
    expect(index.slotOf(DEVICES[0]!, 5, 0)).to.equal(3);
    index.delete(3);
    expect(index.slotOf(DEVICES[0]!, 5, 0)).to.equal(-1);
  });

  it('takes an inode out whatever became of its number, which stands in shared memory', () => {
    const { index, inos, add } = table();
    add(2, 0, 5);
    inos[4] = 6;
    index.delete(2);
    add(2, 0, 5);
    add(3, 0, 6);
    expect([index.slotOf(DEVICES[0]!, 5, 0), index.slotOf(DEVICES[0]!, 6, 0)]).to.deep.equal([2, 3]);
  });

  it('answers as a map does', () => {
    const step = fc.tuple(
      fc.integer({ min: 1, max: SLOTS }),
      fc.nat(1),
      fc.nat(40).map((number) => number * 64),
    );
    fc.assert(
      fc.property(fc.array(step, { minLength: 200, maxLength: 2000 }), (steps) => {
        const { index, add } = table();
        const model = new Map<string, number>();
        const keys: (string | undefined)[] = [];
        for (const [slot, device, number] of steps) {
          const old = keys[slot];
          if (old !== undefined) {
            index.delete(slot);
            if (model.get(old) === slot) model.delete(old);
            keys[slot] = undefined;
          } else {
            add(slot, device, number, slot & 1);
            keys[slot] = `${device}.${number}.${slot & 1}`;
            model.set(keys[slot]!, slot);
          }
          const told = index.slotOf(DEVICES[device]!, number, slot & 1);
          expect(told).to.equal(model.get(`${device}.${number}.${slot & 1}`) ?? -1);
        }
      }),
      { numRuns: 30 },
    );
  });
});
