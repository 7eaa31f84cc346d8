/** Results that are neither a byte count nor an errno. */

/**
 * Returned by a Filesystem method, or a hook, that will call `op.complete(result)` later, on the loop. It is no errno, and
 * byte counts are kept below it.
 */
export const PENDING = 0x4000_0000;

/** Largest byte count that a request may move: page-aligned and below {@link PENDING}. */
export const MAX_COUNT = 0x3fff_f000;

/** The session's own "nobody serves this": ENOSYS on the wire, which a Filesystem's -ENOSYS never becomes. */
export const UNSERVED: number = -PENDING;
