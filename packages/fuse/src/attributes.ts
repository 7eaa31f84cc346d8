/** Attributes of an inode as a Filesystem fills them in. */

/** A mutable attribute record, reused. Times: seconds may be negative. 64-bit ino as two u32. */
export class Attributes {
  inoLo = 0;
  inoHi = 0;
  /** Bytes. */
  size = 0;
  /** Units of 512 bytes. */
  blocks = 0;
  atime = 0;
  atimeNs = 0;
  mtime = 0;
  mtimeNs = 0;
  ctime = 0;
  ctimeNs = 0;
  /** Type and permission bits; a type is required. */
  mode = 0;
  nlink = 0;
  uid = 0;
  gid = 0;
  /** Device numbers of a character or block special file; 12 and 20 bits reach the driver. */
  rdevMajor = 0;
  rdevMinor = 0;
  blksize = 4096;
  /** FUSE_ATTR_SUBMOUNT 1, FUSE_ATTR_DAX 2. A hook may add to it, so a Filesystem sets it for each record of its own. */
  flags = 0;
  /** Validity for the driver, seconds and ns. */
  validSec = 0;
  validNs = 0;
}
