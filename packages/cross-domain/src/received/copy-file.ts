/** The content of a file that a host program sent, without waiting for a disk. */
import {
  EAGAIN,
  EOPNOTSUPP,
  HUGETLBFS_MAGIC,
  Iovec,
  Mapping,
  OVERLAYFS_SUPER_MAGIC,
  PROT_READ,
  PROT_WRITE,
  RAMFS_MAGIC,
  RWF_NOWAIT,
  Statfs,
  type Sys,
  SysError,
  TMPFS_MAGIC,
} from '@oriel/sys';

const statfs = new Uint8Array(Statfs.byteLength);
const statfsView = new DataView(statfs.buffer);
const iovec = new DataView(new ArrayBuffer(Iovec.byteLength));
/** File systems in memory, where a read does not wait; and overlays, which cannot tell, but hold what was written just now. */
const AT_HAND = new Set([TMPFS_MAGIC, RAMFS_MAGIC, HUGETLBFS_MAGIC, OVERLAYFS_SUPER_MAGIC]);

/** `f_type` of the file system of a file; a negative errno. */
export function fileSystemOf(sys: Pick<Sys, 'file'>, fd: number): number {
  const error = sys.file.fstatfs(fd, statfs);
  return error < 0 ? error : Statfs.fType.get(statfsView, 0);
}

/**
 * Copies the first bytes of a file into a memfd; what the file lacks stays zero.
 * @param to - sealed against shrinking, of at least `size` bytes
 * @returns 0; -EAGAIN for a file that is not in memory; another negative errno
 */
export function copyFile(sys: Sys, from: number, to: number, size: number): number {
  if (size === 0) return 0;
  try {
    using target = Mapping.shared(sys.mem, to, size, 0, PROT_READ | PROT_WRITE);
    for (let at = 0; at < size; ) {
      const got = readNow(sys, from, target.addr + at, size - at, at);
      if (got < 0) return got;
      if (got === 0) return 0;
      at += got;
    }
    return 0;
  } catch (error) {
    if (error instanceof SysError) return -error.errno;
    throw error;
  }
}

function readNow(sys: Sys, fd: number, addr: number, len: number, offset: number): number {
  Iovec.iovBase.set(iovec, 0, addr);
  Iovec.iovLen.set(iovec, 0, len);
  const got = sys.file.preadv2(fd, iovec, 1, offset, RWF_NOWAIT);
  if (got !== -EOPNOTSUPP) return got;
  return AT_HAND.has(fileSystemOf(sys, fd)) ? sys.fd.pread(fd, addr, len, offset) : -EAGAIN;
}
