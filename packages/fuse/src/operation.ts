/** A request in flight, as a Filesystem and the hooks see it. */
import type { Address } from '@oriel/sys';
import type { Entry } from './entry.ts';
import type { Name } from './name.ts';
import type { SecurityContext } from './security-context.ts';
import type { Intent } from './survival/intent.ts';

/**
 * One request in flight; pooled. Everything a Filesystem method gets lives in it until the operation is complete, so a
 * method may return PENDING and go on later.
 */
export interface Operation {
  readonly opcode: number;
  readonly nodeid: number;
  /**
   * Ids of the caller. Permission was checked by the driver; only requests that create an inode need them, and only those
   * have them: others carry 0xffffffff once FUSE_ALLOW_IDMAP is agreed.
   */
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** First name, second name (RENAME: old, new; SYMLINK: name, target as a path; SETXATTR: attribute name). */
  readonly name: Name;
  readonly name2: Name;
  /** umask of creating requests; the driver has applied it to `mode` already, unless FUSE_DONT_MASK was agreed. */
  readonly umask: number;
  /** Supplementary group of a creating request (CREATE_SUPP_GROUP), or -1. */
  readonly supplementaryGroup: number;
  /** The label that a creating request gives its inode (`SessionFeatures.securityContexts`), or null. */
  readonly security: SecurityContext | null;
  /** Result record of lookup-like requests and (its attr) of attribute requests. */
  readonly entry: Entry;
  /** Result of open-like requests. */
  fh: number;
  openFlags: number;
  /** Result of LSEEK. Before that, and for hooks: the offset of READ, WRITE, FALLOCATE, or COPY_FILE_RANGE's target. */
  offset: number;
  /** Bytes asked for by READ, WRITE, FALLOCATE, COPY_FILE_RANGE. */
  readonly size: number;
  /** The file written to by COPY_FILE_RANGE, else `nodeid`. */
  readonly targetNodeid: number;
  /** The request's record in the journal; null without one, and for requests that may be done twice. */
  readonly intent: Intent | null;
  /** For the filesystem's own use; undefined at first. */
  context: unknown;
  /**
   * The bytes at an address inside this operation's private memory: a name, an xattr value, the room of READLINK. For file
   * systems written in JavaScript; makes a view, so not for hot paths. @throws RangeError outside of the memory
   */
  bytes(addr: Address, len: number): Uint8Array;
  /** Ends a PENDING operation with a result as the method would have returned it. */
  complete(result: number): void;
}
