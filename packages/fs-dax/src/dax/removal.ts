/** Which ranges a REMOVEMAPPING names. */
import { EINVAL } from '@oriel/sys';
import { DAX_RANGE } from '../layout.ts';
import type { DaxRange } from './range.ts';
import type { RangeTable } from './ranges.ts';

/**
 * Finds the ranges of `count` pairs: each names a range as it was set up, or several whole ones. Where nothing stands there
 * is nothing to remove.
 * @param size - bytes of the window
 * @returns the ranges, each once, or -EINVAL
 */
export function rangesToRemove(
  table: RangeTable,
  size: number,
  count: number,
  moffsets: Float64Array,
  lens: Float64Array,
): DaxRange[] | number {
  const found = new Set<DaxRange>();
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const moffset = moffsets[i]!;
    const end = moffset + lens[i]!;
    sum += lens[i]!;
    // Pairs of one request lie beside each other: more than the window would only keep us busy.
    if (moffset % DAX_RANGE !== 0 || end <= moffset || end > size || sum > size) return -EINVAL;
    for (let at = moffset; at < end; at += DAX_RANGE) {
      const range = table.at(at);
      if (range === null) continue;
      // A front-end removes mappings whole: the rest of this one would be missed.
      if (at + range.len > end) return -EINVAL;
      found.add(range);
    }
  }
  return [...found];
}
