/** What STATX tells beyond the attributes. */

/** Facts of an inode as statx(2) gives them. Filled by `Filesystem.statx`. */
export interface StatxOut {
  /** STATX_* bits of what is told, those of `op.entry.attr` among them. */
  mask: number;
  /** STATX_ATTR_* bits, and which of them the file system knows; 64 bits as two u32 each. */
  attributesLo: number;
  attributesHi: number;
  attributesMaskLo: number;
  attributesMaskHi: number;
  /** When the file was made; seconds may be negative. */
  btime: number;
  btimeNs: number;
  devMajor: number;
  devMinor: number;
}

/** The record that an operation reuses. */
export class StatxRecord implements StatxOut {
  mask = 0;
  attributesLo = 0;
  attributesHi = 0;
  attributesMaskLo = 0;
  attributesMaskHi = 0;
  btime = 0;
  btimeNs = 0;
  devMajor = 0;
  devMinor = 0;
}
