import { planBudget } from '@oriel/shm-region';
import { expect } from 'chai';

const MiB = 1024 * 1024;
const QEMU = { rangeSize: 2 * MiB, mappingsPerRange: 1, limit: 512, reserved: 8, share: 1 };

describe('planBudget', () => {
  it('accepts a window whose ranges all fit', () => {
    const plan = planBudget({ ...QEMU, windowSize: 256 * MiB });
    expect(plan).to.include({ ok: true, mappings: 128, budget: 504, largestWindow: 512 * MiB });
  });

  it('is exact at the limit', () => {
    expect(planBudget({ ...QEMU, windowSize: 504 * 2 * MiB }).ok).to.equal(true);
    expect(planBudget({ ...QEMU, windowSize: 505 * 2 * MiB }).ok).to.equal(false);
  });

  it('says which window would fit', () => {
    const plan = planBudget({ ...QEMU, windowSize: 1024 * MiB });
    expect(plan).to.include({ ok: false, mappings: 512, largestWindow: 512 * MiB });
    expect(plan.message).to.contain('1 GiB').and.to.contain('512 MiB would fit');
    expect(planBudget({ ...QEMU, windowSize: plan.largestWindow }).ok).to.equal(true);
  });

  it('counts several mappings a range and the share of another device', () => {
    const plan = planBudget({ ...QEMU, windowSize: 256 * MiB, mappingsPerRange: 2, share: 0.5 });
    expect(plan).to.include({ ok: false, mappings: 256, budget: 252, largestWindow: 128 * MiB });
  });

  it('says so when nothing fits', () => {
    const plan = planBudget({ ...QEMU, windowSize: 2 * MiB, limit: 8, reserved: 9 });
    expect(plan).to.include({ ok: false, budget: 0, largestWindow: 0 });
    expect(plan.message).to.contain('no window would fit');
  });

  it('refuses a window that is no multiple of its ranges', () => {
    expect(planBudget({ ...QEMU, windowSize: 3 * MiB }).ok).to.equal(false);
  });

  it('throws for numbers that make no sense', () => {
    for (const bad of [{ windowSize: 0 }, { rangeSize: -1 }, { mappingsPerRange: 0.5 }, { limit: Number.NaN }]) {
      expect(() => planBudget({ ...QEMU, windowSize: 2 * MiB, ...bad }), JSON.stringify(bad)).to.throw(RangeError);
    }
    for (const bad of [{ reserved: -1 }, { share: 0 }, { share: 1.5 }, { share: Number.NaN }]) {
      expect(() => planBudget({ ...QEMU, windowSize: 2 * MiB, ...bad }), JSON.stringify(bad)).to.throw(RangeError);
    }
  });
});
