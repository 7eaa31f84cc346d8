import { RangeAllocator, ShmRegionError } from '@oriel/shm-region';
import { expect } from 'chai';
import fc from 'fast-check';

const PAGE = 4096;

function code(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof ShmRegionError) {
      return error.code;
    }
    throw error;
  }
  return 'nothing thrown';
}

describe('RangeAllocator', () => {
  it('takes the lowest hole that fits', () => {
    const allocator = new RangeAllocator(8 * PAGE, PAGE);
    expect(allocator.allocate(2 * PAGE)).to.equal(0);
    expect(allocator.allocate(PAGE)).to.equal(2 * PAGE);
    expect(allocator.allocate(PAGE)).to.equal(3 * PAGE);
    allocator.release(0, 2 * PAGE);
    allocator.release(3 * PAGE, PAGE);
    expect(allocator.allocate(3 * PAGE)).to.equal(3 * PAGE);
    expect(allocator.allocate(PAGE)).to.equal(0);
  });

  it('aligns, and leaves the hole before usable', () => {
    const allocator = new RangeAllocator(8 * PAGE, PAGE);
    expect(allocator.allocate(PAGE)).to.equal(0);
    expect(allocator.allocate(2 * PAGE, 4 * PAGE)).to.equal(4 * PAGE);
    expect(allocator.largestHole).to.equal(3 * PAGE);
    expect(allocator.allocate(3 * PAGE)).to.equal(PAGE);
    expect(allocator.allocate(PAGE, 3 * PAGE)).to.equal(6 * PAGE);
  });

  it('makes one hole of neighbours on both sides', () => {
    const allocator = new RangeAllocator(4 * PAGE, PAGE);
    expect(allocator.allocate(4 * PAGE)).to.equal(0);
    allocator.release(0, PAGE);
    allocator.release(2 * PAGE, PAGE);
    expect(allocator.largestHole).to.equal(PAGE);
    allocator.release(PAGE, PAGE);
    expect(allocator.largestHole).to.equal(3 * PAGE);
    expect(allocator.free).to.equal(3 * PAGE);
  });

  it('answers -1 when no hole is large enough', () => {
    const allocator = new RangeAllocator(3 * PAGE, PAGE);
    expect(allocator.allocate(4 * PAGE)).to.equal(-1);
    allocator.allocate(3 * PAGE);
    allocator.release(0, PAGE);
    allocator.release(2 * PAGE, PAGE);
    expect(allocator.allocate(2 * PAGE)).to.equal(-1);
    expect(allocator.free).to.equal(2 * PAGE);
  });

  it('works above 4 GiB', () => {
    const allocator = new RangeAllocator(2 ** 46, 2 ** 21);
    expect(allocator.allocate(2 ** 45)).to.equal(0);
    expect(allocator.allocate(2 ** 21)).to.equal(2 ** 45);
    allocator.release(0, 2 ** 45);
    expect(allocator.largestHole).to.equal(2 ** 45);
  });

  it('refuses sizes that are not whole pages', () => {
    for (const size of [0, -PAGE, PAGE + 1, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY]) {
      expect(
        code(() => new RangeAllocator(size, PAGE)),
        `size ${size}`,
      ).to.equal('ERR_SHM_SIZE');
    }
    const allocator = new RangeAllocator(4 * PAGE, PAGE);
    for (const len of [0, -PAGE, 1, PAGE / 2, Number.NaN]) {
      expect(
        code(() => allocator.allocate(len)),
        `len ${len}`,
      ).to.equal('ERR_SHM_SIZE');
      expect(
        code(() => allocator.allocate(PAGE, len)),
        `alignment ${len}`,
      ).to.equal('ERR_SHM_SIZE');
    }
    expect(allocator.free).to.equal(4 * PAGE);
  });

  it('refuses to release what is not allocated, and changes nothing', () => {
    const allocator = new RangeAllocator(8 * PAGE, PAGE);
    allocator.allocate(4 * PAGE);
    const cases = [
      [4 * PAGE, PAGE],
      [3 * PAGE, 2 * PAGE],
      [7 * PAGE, 2 * PAGE],
      [-PAGE, PAGE],
      [1, PAGE],
      [0, 0],
    ] as const;
    for (const [offset, len] of cases) {
      expect(
        code(() => allocator.release(offset, len)),
        `${offset}+${len}`,
      ).to.equal('ERR_SHM_RANGE');
    }
    expect([allocator.free, allocator.largestHole]).to.deep.equal([4 * PAGE, 4 * PAGE]);
  });

  it('agrees with a map of pages', () => {
    const PAGES = 24;
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('take' as const),
        pages: fc.integer({ min: 1, max: 8 }),
        align: fc.integer({ min: 1, max: 5 }),
      }),
      fc.record({ kind: fc.constant('give' as const), index: fc.nat(), pages: fc.integer({ min: 1, max: 8 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const allocator = new RangeAllocator(PAGES * PAGE, PAGE);
        const taken: boolean[] = new Array(PAGES).fill(false);
        const live: { at: number; pages: number }[] = [];
        for (const action of steps) {
          if (action.kind === 'take') {
            const fits = (at: number) =>
              at + action.pages <= PAGES && !taken.slice(at, at + action.pages).includes(true);
            let expected = -1;
            for (let at = 0; at < PAGES && expected < 0; at += action.align) {
              expected = fits(at) ? at : -1;
            }
            const got = allocator.allocate(action.pages * PAGE, action.align * PAGE);
            expect(got).to.equal(expected < 0 ? -1 : expected * PAGE);
            if (expected >= 0) {
              taken.fill(true, expected, expected + action.pages);
              live.push({ at: expected, pages: action.pages });
            }
          } else if (live.length > 0) {
            const index = action.index % live.length;
            const piece = live[index]!;
            const pages = Math.min(action.pages, piece.pages);
            allocator.release(piece.at * PAGE, pages * PAGE);
            taken.fill(false, piece.at, piece.at + pages);
            piece.at += pages;
            piece.pages -= pages;
            if (piece.pages === 0) {
              live.splice(index, 1);
            }
          }
          const runs = taken
            .map((used) => (used ? ' ' : 'f'))
            .join('')
            .split(/ +/);
          expect(allocator.free).to.equal(taken.filter((used) => !used).length * PAGE);
          expect(allocator.largestHole).to.equal(Math.max(...runs.map((run) => run.length)) * PAGE);
        }
      }),
    );
  });
});
