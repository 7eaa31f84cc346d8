/** Which files get DAX in the guest's per-inode mode. */
import type { Filesystem } from '@oriel/fuse';
import { Fd, type Sys } from '@oriel/sys';
import type { DaxInode } from './inode.ts';
import type { DaxTail } from './options.ts';

export interface EligibilityOptions {
  readonly sys: Pick<Sys, 'fd'>;
  readonly fs: Filesystem;
  readonly tail: DaxTail;
  readonly minSize: number;
}

/** What the size alone says: large enough to be worth a mapping, and mappable to its last byte. */
export function sizeAllows(options: EligibilityOptions, size: number, pageSize: number, insideFile: boolean): boolean {
  if (size < options.minSize) return false;
  return !insideFile || options.tail !== 'refuse' || size % pageSize === 0;
}

/** Whether the file may be opened for a mapping; tried once an inode, as Linux asks at every lookup. */
export function mayBeOpened(options: EligibilityOptions, inode: DaxInode): boolean {
  if (inode.openable === null) {
    const fd = options.fs.openForMapping?.(inode.nodeid) ?? -1;
    if (fd >= 0) new Fd(options.sys.fd, fd).close();
    inode.openable = fd >= 0;
  }
  return inode.openable;
}
