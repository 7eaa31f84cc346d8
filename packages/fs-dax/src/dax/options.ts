/** What may be chosen about the window. */

/**
 * What happens to a last partial page of a file, which a front-end with `limits.insideFile` cannot map:
 * - `refuse` (the default): a file with one gets no DAX; a mapping that would need one fails with EOPNOTSUPP. A file that the
 *   guest itself gave such a size is served as with `grow`, since the guest is changing it anyway.
 * - `grow`: the file is lengthened for the time of one map request and shortened again; a crash record is written first.
 * - `copy`: the file's last range is served from a private copy, written back at FSYNC, FLUSH, RELEASE and removal; it is not
 *   coherent with the host meanwhile.
 */
export type DaxTail = 'refuse' | 'grow' | 'copy';

export interface DaxOptions {
  /** Default 'refuse'. */
  readonly tail?: DaxTail;
  /** Smallest file that gets DAX in the guest's per-inode mode, bytes; default 1 MiB. */
  readonly minSize?: number;
  /** Where the crash record of `grow` is kept: a directory. Without it `grow` is not available. */
  readonly stateDir?: string;
}

/** Mappings that one 2 MiB range may need at the front-end; the budget is ranges times this. */
export function mappingsPerRange(tail: DaxTail): number {
  return tail === 'refuse' ? 3 : 1;
}

export const DEFAULT_DAX_MIN_SIZE = 1 << 20;
