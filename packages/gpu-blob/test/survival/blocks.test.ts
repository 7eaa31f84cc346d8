import { expect } from 'chai';
import fc from 'fast-check';
import { Blocks, bytesOfBlocks, FIELDS, STATE } from '../../src/survival/blocks.ts';

const COUNT = 24;

type Step =
  | { readonly kind: 'add'; readonly size: number }
  | { readonly kind: 'replace'; readonly which: number; readonly size: number }
  | { readonly kind: 'drop' | 'mark'; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), size: fc.integer({ min: 0, max: 700 }) }),
  fc.record({
    kind: fc.constant('replace' as const),
    which: fc.nat({ max: 30 }),
    size: fc.integer({ min: 0, max: 300 }),
  }),
  fc.record({ kind: fc.constantFrom('drop' as const, 'mark' as const), which: fc.nat({ max: 30 }) }),
);

/** What stands in some memory, as another process finds it. */
function found(bytes: Uint8Array): string[] {
  const blocks = new Blocks(bytes);
  const records = blocks.recover();
  if (records === null) throw new Error('not taken up');
  return records.map((record) => describeRecord(blocks, record)).sort();
}

function describeRecord(blocks: Blocks, record: number): string {
  return `${blocks.get(record, FIELDS)} ${Buffer.from(blocks.data(record)).toString('hex')}`;
}

/** Copies of some memory behind each atomic store: where a kill may leave it. */
function statesOf(bytes: Uint8Array, act: () => void): Uint8Array[] {
  const { store } = Atomics;
  const states: Uint8Array[] = [bytes.slice()];
  Object.assign(Atomics, {
    store: (...args: Parameters<typeof Atomics.store>) => {
      const result: unknown = Reflect.apply(store, Atomics, args);
      states.push(bytes.slice());
      return result;
    },
  });
  try {
    act();
  } finally {
    Object.assign(Atomics, { store });
  }
  return states;
}

describe('Blocks', () => {
  it('have all changes of a commit or none, wherever it was cut short (property)', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const bytes = new Uint8Array(bytesOfBlocks(COUNT));
        const blocks = new Blocks(bytes);
        blocks.begin();
        const records: number[] = [];
        let serial = 0;
        const add = (size: number): number => {
          const record = blocks.allocate(new Uint8Array(size).fill(++serial));
          if (record < 0) return -1;
          blocks.set(record, FIELDS, serial);
          blocks.stage(record, STATE, 1);
          return record;
        };
        const act = (next: Step): void => {
          const at = 'which' in next ? next.which % Math.max(1, records.length) : 0;
          const record = records[at];
          if (next.kind === 'add' || (next.kind === 'replace' && record !== undefined)) {
            const made = add(next.size);
            if (made < 0) return;
            if (next.kind === 'replace') {
              blocks.stage(record!, STATE, 0);
              records.splice(at, 1);
            }
            blocks.stageSpare(serial);
            blocks.commit();
            records.push(made);
          } else if (record !== undefined && next.kind === 'drop') {
            blocks.drop(record);
            records.splice(at, 1);
          } else if (record !== undefined && next.kind === 'mark') {
            blocks.stage(record, FIELDS, 1000 + ++serial);
            blocks.commit();
          }
        };
        for (const next of steps) {
          const before = found(bytes.slice());
          const states = statesOf(bytes, () => act(next)).map((state) => found(state));
          const after = found(bytes.slice());
          for (const state of states) expect([before, after]).to.deep.include(state);
          expect(after).to.deep.equal(records.map((record) => describeRecord(blocks, record)).sort());
        }
        for (const record of records.splice(0)) blocks.drop(record);
        let whole = 0;
        while (add(0) >= 0) {
          blocks.commit();
          whole++;
        }
        expect(whole, 'blocks that came back').to.equal(COUNT);
      }),
      { numRuns: 100, seed: 9 },
    );
  });

  it('are not taken up where no program of this version left them', () => {
    const bytes = new Uint8Array(bytesOfBlocks(COUNT));
    expect(new Blocks(bytes).recover()).to.equal(null);
    const blocks = new Blocks(bytes);
    blocks.begin();
    expect(new Blocks(bytes).recover()).to.deep.equal([]);
    blocks.end();
    expect(new Blocks(bytes).recover()).to.equal(null);
  });

  it('bear any words in them (property)', () => {
    const word = fc.tuple(
      fc.nat({ max: bytesOfBlocks(COUNT) / 4 - 1 }),
      fc.oneof(fc.nat({ max: 40 }), fc.constant(0xffff_ffff)),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), (words) => {
        const bytes = new Uint8Array(bytesOfBlocks(COUNT));
        const blocks = new Blocks(bytes);
        blocks.begin();
        blocks.stage(blocks.allocate(new Uint8Array(300)), STATE, 1);
        blocks.commit();
        const u32 = new Uint32Array(bytes.buffer);
        for (const [at, value] of words) u32[at] = value;
        const again = new Blocks(bytes);
        for (const record of again.recover() ?? []) expect(again.data(record).length).to.be.at.most(COUNT * 128);
      }),
      { numRuns: 500, seed: 4 },
    );
  });
});
