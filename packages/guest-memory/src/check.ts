/** The checks of a memory table (vhost-user, "Memory region description"), before any file is looked at. */
import { isSafeUnsigned } from '@oriel/layout';
import { GuestMemoryError } from './errors.ts';

/** Regions start at multiples of the smallest page of any host: ring and word alignment then follow from addresses. */
export const REGION_ALIGN = 4096;

/** The numbers of a region, without its file. */
export interface RegionExtent {
  readonly gpa: number;
  readonly size: number;
  readonly userAddr: number;
  readonly mmapOffset: number;
}

const STARTS = ['gpa', 'userAddr', 'mmapOffset'] as const;

/** @throws GuestMemoryError ERR_MEM_RANGE for a region of no bytes, one that wraps or one that is not aligned */
export function checkExtent(region: RegionExtent): void {
  if (!isSafeUnsigned(region.size) || region.size === 0) {
    throw new GuestMemoryError('ERR_MEM_RANGE', `region size ${region.size}, want 1 to 2^53 - 1`);
  }
  for (const name of STARTS) {
    const start = region[name];
    if (!isSafeUnsigned(start) || start % REGION_ALIGN !== 0) {
      throw new GuestMemoryError('ERR_MEM_RANGE', `${name} ${start}, want a multiple of ${REGION_ALIGN} below 2^53`);
    }
    if (!isSafeUnsigned(start + region.size)) {
      throw new GuestMemoryError('ERR_MEM_RANGE', `${name} ${start} + size ${region.size} exceeds 2^53 - 1`);
    }
  }
}

/** @throws GuestMemoryError ERR_MEM_COUNT, ERR_MEM_OVERLAP for a table that is too long, or shares an address */
export function checkTable(regions: readonly RegionExtent[], maxRegions: number): void {
  if (regions.length > maxRegions) {
    throw new GuestMemoryError('ERR_MEM_COUNT', `${regions.length} regions, want at most ${maxRegions}`);
  }
  checkDisjoint(regions, 'gpa');
  checkDisjoint(regions, 'userAddr');
}

function checkDisjoint(regions: readonly RegionExtent[], space: 'gpa' | 'userAddr'): void {
  const sorted = regions.toSorted((a, b) => a[space] - b[space]);
  for (let i = 1; i < sorted.length; i++) {
    const before = sorted[i - 1]!;
    const region = sorted[i]!;
    if (region[space] < before[space] + before.size) {
      throw new GuestMemoryError(
        'ERR_MEM_OVERLAP',
        `${space} ${region[space]} lies in the region of ${before[space]}, size ${before.size}`,
      );
    }
  }
}
