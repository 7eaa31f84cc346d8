/** Medians and means of measurements. */

/** The middle value, or the mean of the two in the middle; NaN of nothing. The input stays as it is. */
export function median(values: ArrayLike<number>): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The geometric mean of ratios; NaN of nothing. */
export function geometricMean(ratios: readonly number[]): number {
  if (ratios.length === 0) return Number.NaN;
  return Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
}
