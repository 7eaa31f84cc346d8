import { expect } from 'chai';
import fc from 'fast-check';
import { SlotIds } from '../src/slot-ids.ts';

describe('SlotIds', () => {
  it('names the first use of a slot by its own number', () => {
    const ids = new SlotIds(3);

    const slots = [ids.take(), ids.take(), ids.take()];

    expect(slots).to.deep.equal([1, 2, 3]);
    expect(slots.map((slot) => ids.idOf(slot))).to.deep.equal([1, 2, 3]);
    expect(ids.full).to.equal(true);
    expect(ids.take()).to.equal(-1);
  });

  it('gives a reused slot another id, and the old one names nothing', () => {
    const ids = new SlotIds(1);
    const first = ids.idOf(ids.take());
    ids.release(1);

    const second = ids.idOf(ids.take());

    expect(second).to.equal(2 ** 24 + 1);
    expect(ids.slotOf(second)).to.equal(1);
    expect(ids.slotOf(first)).to.equal(-1);
  });

  it('finds nothing under numbers that it never gave', () => {
    const ids = new SlotIds(8);
    ids.take();

    for (const id of [0, 2, 7, 2 ** 24, 2 ** 24 + 1, 2 ** 32 + 1, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
      expect(ids.slotOf(id), String(id)).to.equal(-1);
    }
  });

  it('never gives an id twice, and always finds the slots in use (property)', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { maxLength: 400 }), fc.integer({ min: 1, max: 100 }), (choices, max) => {
        const ids = new SlotIds(max);
        const used: number[] = [];
        const given = new Set<number>();
        const gone: number[] = [];
        for (const choice of choices) {
          if (choice % 3 !== 0 || used.length === 0) {
            const slot = ids.take();
            expect(slot < 0).to.equal(used.length === max);
            if (slot >= 0) {
              const id = ids.idOf(slot);
              expect(given.has(id)).to.equal(false);
              given.add(id);
              used.push(id);
            }
          } else {
            const [id] = used.splice(choice % used.length, 1);
            ids.release(ids.slotOf(id!));
            gone.push(id!);
          }
          expect(ids.used).to.equal(used.length);
        }
        expect(new Set(used.map((id) => ids.slotOf(id))).size).to.equal(used.length);
        expect(gone.every((id) => ids.slotOf(id) === -1)).to.equal(true);
      }),
    );
  });

  it('takes the ids of another table, and then gives none that could have been there', () => {
    const from = new SlotIds(8);
    for (let slot = 1; slot <= 6; slot++) from.take();
    for (const slot of [2, 4, 4]) {
      from.release(slot);
      if (slot === 4) from.take();
    }
    from.release(6);
    const used = [1, 3, 4, 5].filter((slot) => from.isUsed(slot)).map((slot) => from.idOf(slot));
    const to = new SlotIds(8);
    to.take();
    expect(to.prepare(from.end, from.nextUses)).to.equal(true);
    expect(to.place(1)).to.equal(-1);
    for (const id of used.slice(1)) expect(to.place(id)).to.equal(id % 2 ** 24);
    expect([to.place(used[1]!), to.place(100), to.place(0), to.place(-3), to.place(1.5)]).to.deep.equal(
      Array(5).fill(-1),
    );
    to.settle();
    expect(to.used).to.equal(used.length);
    for (const id of used) expect(to.idOf(to.slotOf(id))).to.equal(id);
    const fresh: number[] = [];
    for (let slot = to.take(); slot > 0; slot = to.take()) fresh.push(to.idOf(slot));
    expect(fresh).to.have.length(8 - used.length);
    for (const id of fresh.filter((one) => one % 2 ** 24 < from.end)) {
      expect(Math.floor(id / 2 ** 24)).to.equal(from.nextUses);
    }
    for (const [end, uses] of [
      [0, 1],
      [10, 1],
      [5.5, 1],
      [5, 0],
      [5, 2 ** 29],
      [Number.NaN, 1],
    ] as const) {
      expect(new SlotIds(8).prepare(end, uses)).to.equal(false);
    }
  });
});
