/** What a session is set up with: its limits, and what it wants of INIT. */
import type { Logger, Sys } from '@oriel/sys';
import { FUSE_FLOCK_LOCKS, FUSE_POSIX_LOCKS } from './constants.ts';
import type { Filesystem } from './filesystem.ts';
import type { SessionHooks } from './hooks.ts';
import type { InitWishes } from './init.ts';
import type { FuseMessage } from './message.ts';

const PAGE = 4096;
const DEFAULT_PAGES = 256;
/** More pages would need more pieces than one preadv2 takes. */
const MAX_PAGES = 1024;
const DEFAULT_OPERATIONS = 1024;

export interface SessionOptions {
  readonly sys: Pick<Sys, 'mem'>;
  readonly fs: Filesystem;
  /** Completes the message: `written` bytes of the reply are in place (0 for requests without one). */
  readonly finish: (message: FuseMessage, written: number) => void;
  readonly hooks?: SessionHooks;
  readonly log?: Logger;
  /** Pages per request at most (reply of INIT), 1 to 1024, default 256 = 1 MiB. */
  readonly maxPages?: number;
  /** Requests in flight at most, default 1024; further ones wait in the ring. */
  readonly maxOperations?: number;
  /** READDIRPLUS where the driver asks for it; default true. */
  readonly readdirplus?: boolean;
  /** Drop attributes' data cache by mtime (AUTO_INVAL_DATA) or leave it to opens (EXPLICIT_INVAL_DATA); default 'auto'. */
  readonly invalidation?: 'auto' | 'explicit';
}

/** What a session holds at most. @throws RangeError for `maxPages` or `maxOperations` out of range */
export function sessionLimits(options: SessionOptions): { readonly maxOperations: number; readonly maxBytes: number } {
  const { maxPages = DEFAULT_PAGES, maxOperations = DEFAULT_OPERATIONS } = options;
  if (!(Number.isInteger(maxPages) && maxPages >= 1 && maxPages <= MAX_PAGES)) {
    throw new RangeError(`maxPages is ${maxPages}, wanted 1 to ${MAX_PAGES}`);
  }
  if (!(Number.isInteger(maxOperations) && maxOperations >= 1)) {
    throw new RangeError(`maxOperations is ${maxOperations}, wanted 1 or more`);
  }
  return { maxOperations, maxBytes: maxPages * PAGE };
}

/** What a session wants of INIT, for its file system and its hooks. */
export function initWishes(options: SessionOptions): InitWishes {
  const { fs, hooks = {}, maxPages = DEFAULT_PAGES, invalidation = 'auto', readdirplus = true } = options;
  return {
    maxPages,
    features: readdirplus ? (fs.features ?? {}) : { ...fs.features, readdirplus },
    invalidation,
    flagsLo: (hooks.initFlagsLo ?? 0) | lockFlags(fs),
    flagsHi: hooks.initFlagsHi ?? 0,
    mapAlignment: hooks.mapAlignment ?? 0,
  };
}

/** Flags of INIT for the locks that the Filesystem wants. */
function lockFlags({ locks }: Filesystem): number {
  return (locks?.posix === true ? FUSE_POSIX_LOCKS : 0) | (locks?.flock === true ? FUSE_FLOCK_LOCKS : 0);
}
