/** What may be chosen about the window. */
import { FsDaxError } from '../errors.ts';
import type { GuardHost } from './guard-host.ts';

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

/**
 * What becomes of another process that truncates a file which the guest has mapped; without an answer the front-end dies:
 * - `auto`: it waits until the guest cannot reach what goes. Where bytes that stay would be out of reach meanwhile, since the
 *   front-end can only remove mappings whole, it is refused (ETXTBSY), and so it is while the rings stand still.
 * - `yield`: as `auto`, but bytes that stay may be out of the guest's reach until the truncation is done: reads give what an
 *   unmapped range gives, stores are lost.
 * - `refuse`: always ETXTBSY while the guest has the part mapped that is to go.
 * - `off` (the default): nobody is asked.
 */
export type DaxGuard = (typeof GUARDS)[number];
const GUARDS = ['auto', 'yield', 'refuse', 'off'] as const;

export interface DaxOptions {
  /** Default 'refuse'. */
  readonly tail?: DaxTail;
  /** Smallest file that gets DAX in the guest's per-inode mode, bytes; default 1 MiB. */
  readonly minSize?: number;
  /** Where the crash record of a grown file is kept: a directory that exists. Without it no file is ever grown. */
  readonly stateDir?: string;
  /** Default 'off'. */
  readonly guard?: DaxGuard;
  /** Who watches files, where this process may not; default: this process. */
  readonly guardHost?: GuardHost;
}

/** Mappings that one 2 MiB range may need at the front-end; the budget is ranges times this. */
export function mappingsPerRange(tail: DaxTail): number {
  return tail === 'refuse' ? 3 : 1;
}

export const DEFAULT_DAX_MIN_SIZE = 1 << 20;

/** The options with defaults filled in. @throws FsDaxError ERR_FSDAX_OPTION */
export function checkDax({ tail = 'refuse', minSize = DEFAULT_DAX_MIN_SIZE, stateDir, guard = 'off' }: DaxOptions): {
  readonly tail: DaxTail;
  readonly minSize: number;
  readonly stateDir: string | undefined;
  readonly guard: DaxGuard;
} {
  if (!TAILS.includes(tail)) {
    throw new FsDaxError('ERR_FSDAX_OPTION', `the tail mode '${tail}' is none of ${TAILS.join(', ')}`);
  }
  if (!Number.isSafeInteger(minSize) || minSize < 0) {
    throw new FsDaxError('ERR_FSDAX_OPTION', `a smallest file of ${minSize} bytes; give a whole number`);
  }
  if (!GUARDS.includes(guard)) {
    throw new FsDaxError('ERR_FSDAX_OPTION', `the guard '${guard}' is none of ${GUARDS.join(', ')}`);
  }
  return { tail, minSize, stateDir, guard };
}
