/** Whether the guest can reach the bytes that a file holds, and how it comes to. */
import type { ShmRegion } from '@oriel/shm-region';
import { inTurn } from './in-turn.ts';
import type { DaxInode } from './inode.ts';
import type { DaxState } from './state.ts';

/** True when bytes of a file of `size` bytes lie in a range of it, but are not mapped. */
export function lacksBytes(region: ShmRegion, inode: DaxInode, size: number): boolean {
  const { pageSize } = region.limits;
  for (const range of inode.ranges) if (range.lacks(size, pageSize)) return true;
  return false;
}

/** True when a file holds more now than its ranges reach. */
export function isBehind({ region, facts }: DaxState, inode: DaxInode): boolean {
  return inode.fd !== null && lacksBytes(region!, inode, facts.size(inode.fd.fd));
}

/** Maps what a file now holds behind the mapped part of its ranges. @param done - gets 0 or a negative errno */
export function extendRanges(state: DaxState, inode: DaxInode, done: (error: number) => void): void {
  const ranges = [...inode.ranges].filter((range) => range.covered < range.len);
  inTurn(
    ranges.length,
    (index, next) =>
      // A range wholly behind the end of the file needs nothing.
      state.ranges.cover(state.region!, ranges[index]!, (error) =>
        next(error < 0 && isBehind(state, inode) ? error : 0),
      ),
    done,
  );
}
