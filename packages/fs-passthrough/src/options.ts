/** What a share can be told, checked once. */
import { FOPEN_CACHE_DIR, FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE } from '@oriel/fuse';
import { type Logger, type Offload, type Sys, silentLogger } from '@oriel/sys';
import { PassthroughError } from './errors.ts';
import { MAX_SLOTS } from './slot-ids.ts';

/** The system calls that a share needs. */
export type PassthroughSys = Pick<Sys, 'mem' | 'fd' | 'file' | 'cred'>;

/**
 * How long the driver may believe what it was told, as virtiofsd has it: `auto` 1 s, data checked at each open; `always`
 * a day, data kept; `metadata` a day, data never cached; `never` nothing is cached.
 */
export type CachePolicy = 'auto' | 'always' | 'metadata' | 'never';

/** Descriptors and memory that one share may use. */
export interface PassthroughLimits {
  /** Inodes that the guest may know at a time, a descriptor each. Default 65536. Above: ENFILE. */
  readonly maxInodes?: number;
  /** Files that it may have open. Default 16384. Above: ENFILE. */
  readonly maxHandles?: number;
  /** Directories that it may have open. Default 1024. Above: ENFILE. */
  readonly maxDirStreams?: number;
  /** Requests that may wait for helper threads; further ones run at once, in the loop. Default 256. */
  readonly maxPending?: number;
}

export interface PassthroughOptions {
  readonly sys: PassthroughSys;
  /** The directory to share; a symbolic link to one is followed, once. */
  readonly sharedDir: string;
  /** Refuse every change with EROFS. Default false. */
  readonly readonly?: boolean;
  /** Default 'auto'. */
  readonly cache?: CachePolicy;
  /** Helper threads for calls that may block; without them such calls run in the loop. */
  readonly offload?: Offload;
  readonly log?: Logger;
  readonly limits?: PassthroughLimits;
  /**
   * Answer opens of inodes in DAX use with FOPEN_KEEP_CACHE: without it the driver drops its page tables of the file at
   * each open. Which inodes those are: see `PassthroughFilesystem.inDaxUse`. Default false.
   */
  readonly daxKeepCache?: boolean;
  /** Serve extended attributes; if not, the driver is told that there are none. Default false. */
  readonly xattr?: boolean;
  /** Mark directories on which another file system is mounted, so that the driver mounts them too. Default true. */
  readonly announceSubmounts?: boolean;
}

/** What a cache policy means for replies. */
export interface CacheRules {
  /** Validity of names and attributes, seconds. */
  readonly validSec: number;
  /** FOPEN_* of files and directories. */
  readonly fileFlags: number;
  readonly directoryFlags: number;
}

const DAY_SECONDS = 86_400;

export const CACHE_RULES: Readonly<Record<CachePolicy, CacheRules>> = {
  auto: { validSec: 1, fileFlags: 0, directoryFlags: 0 },
  always: {
    validSec: DAY_SECONDS,
    fileFlags: FOPEN_KEEP_CACHE,
    directoryFlags: FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE,
  },
  metadata: {
    validSec: DAY_SECONDS,
    fileFlags: FOPEN_DIRECT_IO,
    directoryFlags: FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE,
  },
  never: { validSec: 0, fileFlags: FOPEN_DIRECT_IO, directoryFlags: 0 },
};

/** Options with every default filled in. */
export interface Settings {
  readonly sharedDir: string;
  readonly readonly: boolean;
  readonly cache: CacheRules;
  readonly log: Logger;
  readonly limits: Required<PassthroughLimits>;
  readonly daxKeepCache: boolean;
  readonly xattr: boolean;
  readonly announceSubmounts: boolean;
}

const DEFAULT_LIMITS: Required<PassthroughLimits> = {
  maxInodes: 65_536,
  maxHandles: 16_384,
  maxDirStreams: 1024,
  maxPending: 256,
};

/**
 * Splits a process's descriptor limit among inodes, files and directories of a share.
 * @param descriptors - RLIMIT_NOFILE less what the rest of the process needs, sockets and call descriptors above all
 * @throws PassthroughError ERR_PASSTHROUGH_OPTION when there are fewer than 64
 */
export function limitsForDescriptors(descriptors: number): PassthroughLimits {
  if (!(descriptors >= 64)) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `${descriptors} descriptors are too few: 64 at least`);
  }
  const maxDirStreams = Math.min(DEFAULT_LIMITS.maxDirStreams, Math.floor(descriptors / 16));
  const maxHandles = Math.min(DEFAULT_LIMITS.maxHandles, Math.floor(descriptors / 4));
  // FLUSH, SYNCFS, truncation and CREATE need one more for the time of a call.
  const spare = 16;
  const maxInodes = Math.min(MAX_SLOTS, descriptors - maxDirStreams - maxHandles - spare);
  return { maxInodes, maxHandles, maxDirStreams };
}

/** @throws PassthroughError ERR_PASSTHROUGH_OPTION */
export function settingsOf(options: PassthroughOptions): Settings {
  const { sharedDir, cache = 'auto' } = options;
  if (sharedDir === '' || sharedDir.includes('\0')) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', 'sharedDir must be a path');
  }
  if (!Object.hasOwn(CACHE_RULES, cache)) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `cache '${cache}' is none of auto, always, metadata, never`);
  }
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  for (const name of ['maxInodes', 'maxHandles', 'maxDirStreams', 'maxPending'] as const) {
    const least = name === 'maxPending' ? 0 : 1;
    if (!Number.isInteger(limits[name]) || limits[name] < least) {
      throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `limits.${name} is ${limits[name]}`);
    }
  }
  if (limits.maxInodes > MAX_SLOTS || limits.maxHandles + limits.maxDirStreams > MAX_SLOTS) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `limits: at most ${MAX_SLOTS} inodes, and as many handles`);
  }
  return {
    sharedDir,
    readonly: options.readonly ?? false,
    cache: CACHE_RULES[cache],
    log: options.log ?? silentLogger,
    limits,
    daxKeepCache: options.daxKeepCache ?? false,
    xattr: options.xattr ?? false,
    announceSubmounts: options.announceSubmounts ?? true,
  };
}
