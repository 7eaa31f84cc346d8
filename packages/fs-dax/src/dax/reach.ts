/** Whether the guest can reach the bytes that a file holds, and how it comes to. */
import type { ShmRegion } from '@oriel/shm-region';
import { inTurn } from './in-turn.ts';
import type { DaxInode } from './inode.ts';
import type { DaxState } from './state.ts';

/**
 * True when the guest, once it is told of a file's size, could use bytes of a range that are not mapped. A range of which
 * nothing is mapped yet has not been answered to the guest: it will reach as far as the guest was told meanwhile.
 */
export function lacksBytes(region: ShmRegion, inode: DaxInode, size: number): boolean {
  const { pageSize } = region.limits;
  let lacks = false;
  for (const range of inode.ranges) {
    if (!range.held) range.told = Math.max(range.told, size);
    else if (range.lacks(size, pageSize)) lacks = true;
  }
  return lacks;
}

/** True when a file holds more now than its ranges reach; see `lacksBytes`. */
export function isBehind({ region, facts }: DaxState, inode: DaxInode): boolean {
  if (inode.fd === null) return false;
  return lacksBytes(region!, inode, inode.limit(facts.size(inode.fd.fd), region!.limits.pageSize));
}

/** Maps what a file now holds behind the mapped part of its ranges. @param done - gets 0 or a negative errno */
export function extendRanges(state: DaxState, inode: DaxInode, done: (error: number) => void): void {
  const ranges = [...inode.ranges].filter((range) => range.held && range.covered < range.len);
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
