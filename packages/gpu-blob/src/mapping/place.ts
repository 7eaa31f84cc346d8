/** Where a guest may put a blob. */
import { isSafeUnsigned } from '@oriel/layout';
import type { ShmRegion } from '@oriel/shm-region';

/** What is mapped, or about to be. */
export interface Placed {
  readonly shmOffset: number;
  readonly len: number;
  readonly state: 'mapping' | 'live' | 'unmapping';
}

/**
 * True for whole pages inside the region where nothing lies but what is on its way out. The region checks it too, but says a
 * line about each refusal, and lets some front-ends replace a mapping: a driver must not (VIRTIO 1.3, 5.7.6.8).
 */
export function isFree(region: ShmRegion, placed: Iterable<Placed>, shmOffset: number, len: number): boolean {
  const end = shmOffset + len;
  if (!isSafeUnsigned(shmOffset) || shmOffset % region.limits.pageSize !== 0 || end > region.size) return false;
  for (const other of placed) {
    const overlaps = other.shmOffset < end && other.shmOffset + other.len > shmOffset;
    if (overlaps && other.state !== 'unmapping') return false;
  }
  return true;
}
