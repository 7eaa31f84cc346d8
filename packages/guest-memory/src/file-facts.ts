/** What must be known of a region's file before it is mapped. */
import { AT_EMPTY_PATH, F_SEAL_SHRINK, STATX_BASIC_STATS, Statx, type Sys, SysError } from '@oriel/sys';
import { GuestMemoryError } from './errors.ts';
import type { RegionDescription } from './region.ts';

/** Facts of one file. */
export interface FileFacts {
  /** The file can never be truncated below its present size. */
  readonly sealed: boolean;
  readonly dev: number;
  readonly ino: number;
  /** What a mapping's offset must be a multiple of: st_blksize, which is the huge page's size on hugetlbfs. */
  readonly blockSize: number;
}

const EMPTY_PATH = new Uint8Array(1);
const buffer = new Uint8Array(Statx.byteLength);
const view = new DataView(buffer.buffer);

/**
 * Looks at the file of a region.
 * @throws GuestMemoryError ERR_MEM_FILE when the file cannot be looked at; or is sealed and ends before the region does
 */
export function fileFacts(sys: Pick<Sys, 'mem' | 'file'>, region: RegionDescription): FileFacts {
  const fd = region.fd.fd;
  // Seals first: a file that is sealed now cannot shrink between this and the look at its size.
  const seals = sys.mem.getSeals(fd);
  const result = sys.file.statx(fd, EMPTY_PATH, AT_EMPTY_PATH, STATX_BASIC_STATS, buffer);
  if (result < 0) {
    throw new GuestMemoryError('ERR_MEM_FILE', 'the file of a region cannot be looked at', {
      cause: new SysError(-result, 'statx'),
    });
  }
  const sealed = seals >= 0 && (seals & F_SEAL_SHRINK) !== 0;
  const size = Statx.stxSize.get(view, 0);
  const end = region.mmapOffset + region.size;
  // QEMU announces a mapping of another device whose file was shorter again by then: a guarded region bears that.
  if (sealed && end > size)
    throw new GuestMemoryError('ERR_MEM_FILE', `region ends at ${end} of a file of ${size} bytes`);
  const ino = Statx.stxIno.get(view, 0);
  return {
    sealed,
    dev: packDevice(Statx.stxDevMajor.get(view, 0), Statx.stxDevMinor.get(view, 0)),
    ino: Number.isSafeInteger(ino) ? ino : Number.NaN,
    blockSize: blockSizeOf(Statx.stxBlksize.get(view, 0), sys.mem.pageSize),
  };
}

/** Only hugetlbfs needs more than a page, and it gives a multiple of one; any file system may give anything else. */
function blockSizeOf(blksize: number, pageSize: number): number {
  return blksize > pageSize && blksize % pageSize === 0 ? blksize : pageSize;
}

/** st_dev as stat(2) packs it: 12 bits of major (the kernel has no more) between the two parts of minor. */
function packDevice(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
