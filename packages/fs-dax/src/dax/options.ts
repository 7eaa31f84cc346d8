/** What may be chosen about the window. */
import { FsDaxError } from '../errors.ts';

/**
 * What happens to a last partial page of a file, which a front-end with `limits.insideFile` cannot map:
 * - `refuse` (the default): a file with one gets no DAX; a mapping that would need one fails with EOPNOTSUPP. A file that the
 *   guest itself gave such a size is served as with `grow`, since the guest is changing it anyway.
 * - `grow`: the file is lengthened for the time of one map request and shortened again; a crash record is written first.
 * - `copy`: the file's last range is served from a private copy, written back at FSYNC, FLUSH, RELEASE and removal; it is not
 *   coherent with the host meanwhile.
 */
export type DaxTail = (typeof TAILS)[number];
const TAILS = ['refuse', 'grow', 'copy'] as const;

export interface DaxOptions {
  /** Default 'refuse'. */
  readonly tail?: DaxTail;
  /** Smallest file that gets DAX in the guest's per-inode mode, bytes; default 1 MiB. */
  readonly minSize?: number;
  /** Where the crash record of a grown file is kept: a directory that exists. Without it no file is ever grown. */
  readonly stateDir?: string;
}

/** Mappings that one 2 MiB range may need at the front-end; the budget is ranges times this. */
export function mappingsPerRange(tail: DaxTail): number {
  return tail === 'refuse' ? 3 : 1;
}

export const DEFAULT_DAX_MIN_SIZE = 1 << 20;

/** The options with defaults filled in. @throws FsDaxError ERR_FSDAX_OPTION */
export function checkDax({ tail = 'refuse', minSize = DEFAULT_DAX_MIN_SIZE, stateDir }: DaxOptions): {
  readonly tail: DaxTail;
  readonly minSize: number;
  readonly stateDir: string | undefined;
} {
  if (!TAILS.includes(tail)) {
    throw new FsDaxError('ERR_FSDAX_OPTION', `the tail mode '${tail}' is none of ${TAILS.join(', ')}`);
  }
  if (!Number.isSafeInteger(minSize) || minSize < 0) {
    throw new FsDaxError('ERR_FSDAX_OPTION', `a smallest file of ${minSize} bytes; give a whole number`);
  }
  return { tail, minSize, stateDir };
}
