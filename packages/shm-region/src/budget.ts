/**
 * Whether a window can be filled before the front-end's number of mappings runs out. Answered at the start, since a DAX
 * mapping that is refused later hurts the guest.
 */
import { formatBytes } from './format.ts';

/** A window of a device and the front-end's limit. */
export interface BudgetOptions {
  /** Bytes. */
  readonly windowSize: number;
  /** Bytes that the driver asks for at a time: 2 MiB for virtio-fs. */
  readonly rangeSize: number;
  /** Mappings that one range can need at worst; 1 unless a range is put together from several files. */
  readonly mappingsPerRange: number;
  /** Mappings (memory regions) that the front-end bears in all: 512 for QEMU with memory slots. */
  readonly limit: number;
  /** How many of these are taken by others, such as guest RAM. */
  readonly reserved: number;
  /** The part of the rest that this region may use, above 0 up to 1: 0.5 where two devices share. */
  readonly share: number;
}

/** `mappings` is what the full window needs; `budget` what there is; `largestWindow` what would fit, bytes, 0 for none. */
export interface BudgetPlan {
  readonly ok: boolean;
  readonly mappings: number;
  readonly budget: number;
  /** The largest power of two of ranges that fits: QEMU wants such a sum of regions. */
  readonly largestWindow: number;
  /** One sentence for the person at the command line. */
  readonly message: string;
}

/**
 * Plans a window: every range of it, times the mappings a range, must fit the budget.
 * @throws RangeError when a number is no positive whole number (`reserved`: not negative; `share`: not in (0, 1])
 */
export function planBudget(options: BudgetOptions): BudgetPlan {
  const { windowSize, rangeSize, mappingsPerRange, limit, reserved, share } = options;
  for (const name of ['windowSize', 'rangeSize', 'mappingsPerRange', 'limit'] as const) {
    if (!Number.isSafeInteger(options[name]) || options[name] < 1) {
      throw new RangeError(`${name}: ${options[name]}`);
    }
  }
  if (!Number.isSafeInteger(reserved) || reserved < 0) {
    throw new RangeError(`reserved: ${reserved}`);
  }
  if (!(share > 0 && share <= 1)) {
    throw new RangeError(`share: ${share}`);
  }

  const budget = Math.max(0, Math.floor((limit - reserved) * share));
  const mappings = Math.ceil(windowSize / rangeSize) * mappingsPerRange;
  const rangesThatFit = Math.floor(budget / mappingsPerRange);
  const largestWindow = rangesThatFit === 0 ? 0 : 2 ** Math.floor(Math.log2(rangesThatFit)) * rangeSize;
  const need = `a window of ${formatBytes(windowSize)} needs ${mappings} mappings`;
  const have = `${budget} of the front-end's ${limit} are for this region`;
  if (windowSize % rangeSize !== 0) {
    const message = `a window of ${formatBytes(windowSize)} is not a multiple of its ranges of ${formatBytes(rangeSize)}`;
    return { ok: false, mappings, budget, largestWindow, message };
  }
  if (mappings <= budget) {
    return { ok: true, mappings, budget, largestWindow, message: `${need}, ${have}` };
  }
  const advice = largestWindow === 0 ? 'no window would fit' : `a window of ${formatBytes(largestWindow)} would fit`;
  return { ok: false, mappings, budget, largestWindow, message: `${need}, but ${have}: ${advice}` };
}
