/** What a share can be told, checked once. */
import { totalmem } from 'node:os';
import { FOPEN_CACHE_DIR, FOPEN_DIRECT_IO, FOPEN_KEEP_CACHE, type SessionFeatures } from '@oriel/fuse';
import {
  type HelperThreads,
  type Logger,
  O_ACCMODE,
  O_DIRECT,
  O_DSYNC,
  O_NOATIME,
  O_SYNC,
  O_TRUNC,
  type Offload,
  type Sys,
  silentLogger,
} from '@oriel/sys';
import { PassthroughError } from './errors.ts';
import { type IdRule, IdTranslation } from './id-translation.ts';
import type { RetryTimer } from './locks/lock-waiters.ts';
import type { MigrationOptions } from './migration/options.ts';
import { MAX_SLOTS } from './slot-ids.ts';
import { hostName, parseXattrMap, type XattrRule } from './xattrs/xattr-map.ts';
import { ACL_ACCESS } from './xattrs/xattr-names.ts';

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
  /**
   * Helper threads for mounts of file systems that are not known to be local (NFS, FUSE and the like), which may not answer: every call
   * on them is theirs, and what one is at is not waited for. A few for each such mount. Default: `offload`.
   */
  readonly remoteOffload?: HelperThreads;
  readonly log?: Logger;
  readonly limits?: PassthroughLimits;
  /**
   * Answer opens of inodes in DAX use with FOPEN_KEEP_CACHE: without it the driver drops its page tables of the file at
   * each open. Which inodes those are: see `PassthroughFilesystem.inDaxUse`. Default false.
   */
  readonly daxKeepCache?: boolean;
  /** Serve extended attributes; if not, the driver is told that there are none. Default false. */
  readonly xattr?: boolean;
  /** Rules for the names of extended attributes, as virtiofsd's --xattrmap has them; implies `xattr`. Default: none. */
  readonly xattrMap?: string;
  /**
   * Serve access lists (POSIX ACLs), and give what is made those of its directory, where the driver takes part; implies `xattr`.
   * Default false: they are hidden.
   */
  readonly posixAcl?: boolean;
  /**
   * The umask of a caller, which `posixAcl` sets around a creation, is that of all threads of this process; if not, this thread
   * leaves them by unshare(CLONE_FS), and a later chroot(2) of others does not hold for it. Default false.
   */
  readonly sharedUmask?: boolean;
  /** Give what is made the label that the driver wants, and let the guest change labels; implies `xattr`. Default false. */
  readonly securityLabel?: boolean;
  /** Let the driver keep written data and times for a while: nobody else may write to the share then. Default false. */
  readonly writeback?: boolean;
  /** Let set-id bits be cleared here in place of by the driver. Default true. */
  readonly killprivV2?: boolean;
  /** O_DIRECT of the guest's opens reaches the host. Default false: it goes around the guest's cache alone. */
  readonly allowDirectIo?: boolean;
  /** Shared mappings of files that are not cached: `cache` never or metadata. Default false. */
  readonly allowMmap?: boolean;
  /** O_NOATIME of the guest's opens reaches the host, which may refuse it. Default false. */
  readonly preserveNoatime?: boolean;
  /** Attributes with the names of a directory, where the driver wants them. Default: unless `cache` is never. */
  readonly readdirplus?: boolean;
  /** What users' and groups' ids of the guest are on the host, and the other way. Default: the same. Not with `posixAcl`. */
  readonly translateUid?: readonly IdRule[];
  readonly translateGid?: readonly IdRule[];
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
  /** How sessions move to another host. */
  readonly migration?: MigrationOptions;
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
  readonly xattrMap: readonly XattrRule[] | null;
  readonly securityLabel: boolean;
  /** This thread is to have a umask of its own. */
  readonly ownUmask: boolean;
  /** What reaches the host of the driver's O_*. O_APPEND is done per write. */
  readonly keptFlags: number;
  /** What is to be agreed with a driver. */
  readonly features: SessionFeatures;
  /** Null: ids are the same on both sides. */
  readonly uids: IdTranslation | null;
  readonly gids: IdTranslation | null;
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
/** The fewest descriptors that a share can be served with. */
export const LEAST_DESCRIPTORS = 64;

/**
 * Splits a process's descriptor limit among inodes, files and directories of a share.
 * @param descriptors - RLIMIT_NOFILE less what the rest of the process needs, sockets and call descriptors above all
 * @param memory - bytes of memory of this machine, which bounds the inodes known without a descriptor
 * @throws PassthroughError ERR_PASSTHROUGH_OPTION when there are fewer than `LEAST_DESCRIPTORS`
 */
export function limitsForDescriptors(descriptors: number, memory: number = totalmem()): PassthroughLimits {
  if (!(descriptors >= LEAST_DESCRIPTORS)) {
    const least = `${LEAST_DESCRIPTORS} at least`;
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `${descriptors} descriptors are too few: ${least}`);
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

/** What a session is to agree with its driver. */
function featuresOf(options: PassthroughOptions): SessionFeatures {
  return {
    readdirplus: options.readdirplus ?? options.cache !== 'never',
    killprivV2: options.killprivV2 ?? true,
    writebackCache: options.writeback ?? false,
    posixAcl: options.posixAcl ?? false,
    securityContexts: options.securityLabel ?? false,
    directIoMmap: options.allowMmap ?? false,
    submounts: options.announceSubmounts ?? true,
  };
}

/** Ids, and names of attributes. @throws PassthroughError ERR_PASSTHROUGH_OPTION */
function nameSettings(
  options: PassthroughOptions,
): Pick<Settings, 'xattr' | 'xattrMap' | 'securityLabel' | 'uids' | 'gids'> {
  const { xattrMap: text, translateUid = [], translateGid = [], posixAcl = false, securityLabel = false } = options;
  const xattrMap = text === undefined ? null : parseXattrMap(text);
  if (posixAcl && translateUid.length + translateGid.length > 0) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', 'posixAcl: ids in access lists cannot be translated');
  }
  if (posixAcl && xattrMap !== null && hostName(xattrMap, ACL_ACCESS) !== ACL_ACCESS) {
    throw new PassthroughError('ERR_PASSTHROUGH_OPTION', `posixAcl: xattrMap must leave ${ACL_ACCESS} as it is`);
  }
  return {
    xattr: options.xattr === true || xattrMap !== null || posixAcl || securityLabel,
    xattrMap,
    securityLabel,
    uids: translateUid.length === 0 ? null : new IdTranslation(translateUid),
    gids: translateGid.length === 0 ? null : new IdTranslation(translateGid),
  };
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
    ...nameSettings(options),
    ownUmask: options.posixAcl === true && options.sharedUmask !== true,
    keptFlags:
      O_ACCMODE |
      O_TRUNC |
      O_SYNC |
      O_DSYNC |
      (options.allowDirectIo === true ? O_DIRECT : 0) |
      (options.preserveNoatime === true ? O_NOATIME : 0),
    features: featuresOf(options),
    announceSubmounts: options.announceSubmounts ?? true,
    inodeFileHandles,
    posixLocks: options.posixLocks ?? false,
  };
}
