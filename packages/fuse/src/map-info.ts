/** What a DAX window must know of an inode. */

/** Facts of an inode for a DAX window; filled by `Filesystem.mapInfo`. */
export interface MapInfo {
  size: number;
  /** Regular file on a share that the guest may write. */
  mappable: boolean;
  devLo: number;
  devHi: number;
  inoLo: number;
  inoHi: number;
  /** Path relative to the share, for crash records and pictures; '' when unlinked. */
  path: string;
}
