/** What a share can be told, checked once. */
import { totalmem } from 'node:os';
import { FOPEN_CACHE_DIR, FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE } from '@oriel/fuse';
import { type Logger, type Offload, type Sys, silentLogger } from '@oriel/sys';
import { PassthroughError } from './errors.ts';
import type { RetryTimer } from './locks/lock-waiters.ts';
import { MAX_SLOTS } from './slot-ids.ts';

/** The system calls that a share needs. */
export type PassthroughSys = Pick<Sys, 'mem' | 'fd' | 'file' | 'cred'>;

/**
 * How long the driver may believe what it was told, as virtiofsd has it: `auto` 1 s, data checked at each open; `always`
 * a day, data kept; `metadata` a day, data never cached; `never` nothing is cached.
 */
export type CachePolicy = 'auto' | 'always' | 'metadata' | 'never';

/**
 * Whether file handles may take the place of inodes' descriptors, as virtiofsd has it, where this process has
 * CAP_DAC_READ_SEARCH and the file system has handles: `prefer` where they can be used; `never`; `mandatory` fails at the
 * start when they cannot be used for the shared directory. On other mounts below it `mandatory` is `prefer`.
 */
export type InodeFileHandles = 'never' | 'prefer' | 'mandatory';

/** Descriptors and memory that one share may use. */
export interface PassthroughLimits {
  /** Inodes that the guest may know at a time; about 200 bytes each. Default 4194304. Above: ENFILE. */
  readonly maxInodes?: number;
  /**
   * Descriptors held for these; one request may need a few more while it lasts. Default 65536. Above, those not used lately
   * are given up for file handles; without file handles: ENFILE.
   */
  readonly maxInodeDescriptors?: number;
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
  /** Default 'prefer'. */
  readonly inodeFileHandles?: InodeFileHandles;
  /**
   * Locks by fcntl(2), and by flock(2), that other guests and the host see; if not, each guest keeps its own to itself. One that
   * is waited for cannot be interrupted in the guest: no driver says so. Default false each.
   */
  readonly posixLocks?: boolean;
  readonly flockLocks?: boolean;
  /** For locks that are waited for; without it they are refused with EOPNOTSUPP. `(ms, call) => loop.timer(ms, call)`. */
  readonly timer?: RetryTimer;
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
  readonly inodeFileHandles: InodeFileHandles;
  readonly posixLocks: boolean;
}

const FILE_HANDLE_WORDS: readonly InodeFileHandles[] = ['never', 'prefer', 'mandatory'];

const DEFAULT_LIMITS: Required<PassthroughLimits> = {
  maxInodes: 4_194_304,
  maxInodeDescriptors: 65_536,
  maxHandles: 16_384,
  maxDirStreams: 1024,
  maxPending: 256,
};

/** What a known inode costs, generously: columns of the tables, grown by doubling, the map of numbers, the handle. */
const INODE_BYTES = 256;
/** The part of the memory that inodes may take. */
const MEMORY_PART = 1 / 8;
const LEAST_INODES = 65_536;

/**
 * Splits a process's descriptor limit among inodes, files and directories of a share.
 * @param descriptors - RLIMIT_NOFILE less what the rest of the process needs, sockets and call descriptors above all
 * @param memory - bytes of memory of this machine, which bounds the inodes known without a descriptor
 * @throws PassthroughError ERR_PASSTHROUGH_OPTION when there are fewer than 64
 */
export function limitsForDescriptors(descriptors: number, memory: number = totalmem()): PassthroughLimits {
  if (!(descriptors >= 64)) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `${descriptors} descriptors are too few: 64 at least`);
  }
  const maxDirStreams = Math.min(DEFAULT_LIMITS.maxDirStreams, Math.floor(descriptors / 16));
  const maxHandles = Math.min(DEFAULT_LIMITS.maxHandles, Math.floor(descriptors / 4));
  // FLUSH, SYNCFS, truncation, CREATE and what a request has to open again need a few more for the time of a call.
  const spare = 16;
  const maxInodeDescriptors = Math.min(MAX_SLOTS, descriptors - maxDirStreams - maxHandles - spare);
  const inodes = Math.max(LEAST_INODES, Math.floor((memory * MEMORY_PART) / INODE_BYTES));
  const maxInodes = Math.min(DEFAULT_LIMITS.maxInodes, inodes);
  return { maxInodes, maxInodeDescriptors, maxHandles, maxDirStreams };
}

/** @throws PassthroughError ERR_PASSTHROUGH_OPTION */
export function settingsOf(options: PassthroughOptions): Settings {
  const { sharedDir, cache = 'auto', inodeFileHandles = 'prefer' } = options;
  if (sharedDir === '' || sharedDir.includes('\0')) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', 'sharedDir must be a path');
  }
  if (!Object.hasOwn(CACHE_RULES, cache)) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `cache '${cache}' is none of auto, always, metadata, never`);
  }
  if (!FILE_HANDLE_WORDS.includes(inodeFileHandles)) {
    const words = FILE_HANDLE_WORDS.join(', ');
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `inodeFileHandles '${inodeFileHandles}' is none of ${words}`);
  }
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  for (const name of ['maxInodes', 'maxInodeDescriptors', 'maxHandles', 'maxDirStreams', 'maxPending'] as const) {
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
    inodeFileHandles,
    posixLocks: options.posixLocks ?? false,
  };
}
