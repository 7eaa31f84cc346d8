/** The answer to a STATFS. */

/** Facts of a file system, as statvfs(3) gives them. Filled by `Filesystem.statfs`. */
export interface StatfsOut {
  /** Units of `frsize` bytes. */
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
  bsize: number;
  namelen: number;
  frsize: number;
}

/** The record that an operation reuses. */
export class StatfsRecord implements StatfsOut {
  blocks = 0;
  bfree = 0;
  bavail = 0;
  files = 0;
  ffree = 0;
  bsize = 4096;
  namelen = 255;
  frsize = 4096;
}
