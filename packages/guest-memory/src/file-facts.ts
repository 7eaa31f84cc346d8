/** What must be known of a region's file before it is mapped. */
import { F_SEAL_SHRINK, Statx, type Sys, SysError } from '@oriel/sys';
import { GuestMemoryError } from './errors.ts';
import { identityIn, statxOf } from './file-identity.ts';
import type { RegionDescription, RegionFile } from './region.ts';

/** Facts of one file. */
export interface FileFacts extends RegionFile {
  /** What a mapping's offset must be a multiple of: st_blksize, which is the huge page's size on hugetlbfs. */
  readonly blockSize: number;
}

/**
 * Looks at the file of a region.
 * @throws GuestMemoryError ERR_MEM_FILE when the file cannot be looked at; or is sealed and ends before the region does
 */
export function fileFacts(sys: Pick<Sys, 'mem' | 'file'>, region: RegionDescription): FileFacts {
  const fd = region.fd.fd;
  // Seals first: a file that is sealed now cannot shrink between this and the look at its size.
  const seals = sys.mem.getSeals(fd);
  const stat = statxOf(sys, fd);
  if (typeof stat === 'number') {
    throw new GuestMemoryError('ERR_MEM_FILE', 'the file of a region cannot be looked at', {
      cause: new SysError(-stat, 'statx'),
    });
  }
  const sealed = seals >= 0 && (seals & F_SEAL_SHRINK) !== 0;
  const size = Statx.stxSize.get(stat, 0);
  const end = region.mmapOffset + region.size;
  // QEMU announces a mapping of another device whose file was shorter again by then: a guarded region bears that.
  if (sealed && end > size)
    throw new GuestMemoryError('ERR_MEM_FILE', `region ends at ${end} of a file of ${size} bytes`);
  const blksize = Statx.stxBlksize.get(stat, 0);
  return { ...identityIn(stat), sealed, blockSize: blockSizeOf(blksize, sys.mem.pageSize) };
}

/** Only hugetlbfs needs more than a page, and it gives a multiple of one; any file system may give anything else. */
function blockSizeOf(blksize: number, pageSize: number): number {
  return blksize > pageSize && blksize % pageSize === 0 ? blksize : pageSize;
}
