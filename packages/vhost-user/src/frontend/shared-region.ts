/** A piece of memory that a front-end shares with its back-end. */

/** One region of the memory table. Addresses, sizes and offsets are safe integers, bytes. */
export interface SharedRegion {
  readonly gpa: number;
  readonly size: number;
  readonly userAddr: number;
  readonly mmapOffset: number;
  /** The file. Lent for the call. */
  readonly fd: number;
}

/** What names a region that is to be removed. */
export type RegionName = Pick<SharedRegion, 'gpa' | 'size' | 'userAddr'>;
