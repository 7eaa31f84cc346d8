/**
 * CONTRACT (lead): what fuse offers. The helper turns each `declare` into a real export in files of their own and deletes
 * this file; names and meaning stay. Methods may be added for opcodes not shown where the pattern is clear.
 */
import type { Address, Logger, Sys } from '@oriel/sys';

/** Returned by a Filesystem method that will call `op.complete(result)` later, on the loop. */
export declare const PENDING: number; // 0x4000_0000: no errno and no byte count

/** A name or path in private native memory: NUL-terminated at addr[len], checked: 1..255 bytes, no NUL, no '/', not '.' or '..'. */
export interface Name {
  readonly addr: Address;
  readonly len: number;
  /** Escaped, for logs. */
  toString(): string;
}

/** A mutable attribute record, reused. Times: seconds may be negative. 64-bit ino as two u32. */
export declare class Attributes {
  inoLo: number;
  inoHi: number;
  size: number;
  blocks: number;
  atime: number;
  atimeNs: number;
  mtime: number;
  mtimeNs: number;
  ctime: number;
  ctimeNs: number;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdevMajor: number;
  rdevMinor: number;
  blksize: number;
  /** FUSE_ATTR_SUBMOUNT 1, FUSE_ATTR_DAX 2. */
  flags: number;
  /** Validity for the driver, seconds and ns. */
  validSec: number;
  validNs: number;
}

/** What a lookup-like request answers. `nodeid` 0 on success: a negative entry cached for `entryValid`. */
export declare class Entry {
  nodeid: number;
  generation: number;
  entryValidSec: number;
  entryValidNs: number;
  readonly attr: Attributes;
}

/** Guest data of a READ or WRITE as a native struct iovec array, for preadv2 / pwritev2. */
export interface IoVector {
  /** Address of `count` struct iovec (also valid while the operation is PENDING). */
  readonly addr: Address;
  readonly count: number;
  /** Bytes in all. */
  readonly len: number;
}

/** The changes of a SETATTR. `valid`: FATTR_* bits. */
export interface SetAttr {
  readonly valid: number;
  readonly fh: number;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly atimeLo: number;
  readonly atimeHi: number;
  readonly atimeNs: number;
  readonly mtimeLo: number;
  readonly mtimeHi: number;
  readonly mtimeNs: number;
}

/** Where READDIR(PLUS) puts its records; false: the record did not fit (and must not be counted). */
export interface DirSink {
  /** Room left, bytes. */
  readonly room: number;
  /** Bytes that a record with this name length needs (plus: with its entry). */
  need(nameLen: number): number;
  /** READDIR record, or READDIRPLUS record when `entry` is given; cookie (of the next record) and ino as two u32. For plus with
   * no attributes give `null` in a plus sink: nodeid 0 is written. */
  add(name: Uint8Array, nameOffset: number, nameLen: number, inoLo: number, inoHi: number, cookieLo: number, cookieHi: number, type: number, entry: Entry | null): boolean;
}

/**
 * One request in flight; pooled. Everything a Filesystem method gets lives in it until the operation is complete, so a
 * method may return PENDING and go on later.
 */
export declare class Operation {
  readonly opcode: number;
  readonly nodeid: number;
  readonly uid: number;
  readonly gid: number;
  readonly pid: number;
  /** First name, second name (RENAME: old, new; SYMLINK: name, target as a path; SETXATTR: attribute name). */
  readonly name: Name;
  readonly name2: Name;
  /** umask of creating requests. */
  readonly umask: number;
  /** Supplementary group of a creating request (CREATE_SUPP_GROUP), or -1. */
  readonly supplementaryGroup: number;
  /** Result record of lookup-like requests and (its attr) of attribute requests. */
  readonly entry: Entry;
  /** Result of open-like requests. */
  fh: number;
  openFlags: number;
  /** For the filesystem's own use. */
  context: unknown;
  /** Ends a PENDING operation with a result as the method would have returned it. */
  complete(result: number): void;
}

/**
 * A file system that a session serves. Methods are synchronous: they return 0 or a positive count, a negative errno, or
 * PENDING. nodeid 1 is the root. Lookup counts: each success of lookup, create, mknod, mkdir, symlink, link, tmpfile and each
 * READDIRPLUS record with an entry adds one; `forget` subtracts. Handles and nodeids are safe integers chosen by the
 * implementation; the session has checked that nodeid and fh are safe, not that they exist.
 */
export interface Filesystem {
  /** INIT (again): drop all state of an older session. */
  init?(op: Operation): number;
  /** DESTROY, reset or disconnect: drop handles and inodes. */
  destroy(): void;
  lookup(op: Operation, parent: number, name: Name): number; // fills op.entry
  forget(nodeid: number, count: number): void;
  getattr(op: Operation, nodeid: number, fh: number): number; // fh -1: none; fills op.entry.attr
  setattr(op: Operation, nodeid: number, change: SetAttr): number; // fills op.entry.attr
  readlink(op: Operation, nodeid: number, to: Address, len: number): number; // bytes
  symlink(op: Operation, parent: number, name: Name, target: Name): number; // entry
  mknod(op: Operation, parent: number, name: Name, mode: number, rdev: number): number; // entry
  mkdir(op: Operation, parent: number, name: Name, mode: number): number; // entry
  unlink(op: Operation, parent: number, name: Name): number;
  rmdir(op: Operation, parent: number, name: Name): number;
  rename(op: Operation, parent: number, name: Name, newParent: number, newName: Name, flags: number): number;
  link(op: Operation, nodeid: number, newParent: number, newName: Name): number; // entry
  open(op: Operation, nodeid: number, flags: number, killSuidgid: boolean): number; // op.fh, op.openFlags
  create(op: Operation, parent: number, name: Name, flags: number, mode: number, killSuidgid: boolean): number; // entry + fh
  tmpfile?(op: Operation, parent: number, flags: number, mode: number): number; // entry + fh
  read(op: Operation, nodeid: number, fh: number, offset: number, io: IoVector): number; // bytes
  write(op: Operation, nodeid: number, fh: number, offset: number, io: IoVector, openFlags: number, writeFlags: number): number; // bytes
  flush(op: Operation, nodeid: number, fh: number): number;
  release(op: Operation, nodeid: number, fh: number): number;
  fsync(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number;
  opendir(op: Operation, nodeid: number, flags: number): number; // op.fh, op.openFlags
  /** plus: READDIRPLUS. */
  readdir(op: Operation, nodeid: number, fh: number, cookieLo: number, cookieHi: number, sink: DirSink, plus: boolean): number;
  releasedir(op: Operation, nodeid: number, fh: number): number;
  fsyncdir(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number;
  statfs(op: Operation, nodeid: number, out: StatfsOut): number;
  fallocate(op: Operation, nodeid: number, fh: number, offset: number, len: number, mode: number): number;
  lseek(op: Operation, nodeid: number, fh: number, offset: number, whence: number): number; // new offset in op.offset
  copyFileRange?(op: Operation, nodeidIn: number, fhIn: number, offIn: number, nodeidOut: number, fhOut: number, offOut: number, len: number): number;
  syncfs?(op: Operation, nodeid: number): number;
  getxattr?(op: Operation, nodeid: number, name: Name, to: Address, size: number): number;
  setxattr?(op: Operation, nodeid: number, name: Name, value: Address, size: number, flags: number, aclKillSgid: boolean): number;
  listxattr?(op: Operation, nodeid: number, to: Address, size: number): number;
  removexattr?(op: Operation, nodeid: number, name: Name): number;
  /**
   * For a DAX window: facts of an inode. Fills `op.entry.attr`-like data into `out`. -errno when unknown.
   */
  mapInfo?(nodeid: number, out: MapInfo): number;
  /** Opens a further, own open file description (O_RDWR) of a regular file for a mapping. @returns an fd that the caller owns, or -errno (-EROFS, -EACCES, -ETXTBSY) */
  openForMapping?(nodeid: number): number;
}

export interface MapInfo {
  size: number;
  /** Regular file on a share that the guest may write. */
  mappable: boolean;
  devLo: number;
  devHi: number;
  inoLo: number;
  inoHi: number;
  /** Path relative to the share, for crash records and pictures; '' when unlinked. */
  path: string;
}

export interface StatfsOut {
  blocks: number;
  bfree: number;
  bavail: number;
  files: number;
  ffree: number;
  bsize: number;
  namelen: number;
  frsize: number;
}

/** One message of a transport: a descriptor chain (fs-dax), or arrays (tests). Same methods as virtqueue's Chain. */
export interface FuseMessage {
  readonly readBytes: number;
  readonly writeBytes: number;
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
  readIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number;
  writeIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number;
}

/** What a window adds to a session; all optional. */
export interface SessionHooks {
  /** Extra INIT reply: flags to set when the driver offered them (MAP_ALIGNMENT, HAS_INODE_DAX), log2 of the map alignment. */
  readonly initFlagsLo?: number;
  readonly initFlagsHi?: number;
  readonly mapAlignment?: number;
  /** INIT was accepted: what the driver offered. */
  initialised?(offeredLo: number, offeredHi: number): void;
  /** Before INIT is answered and at DESTROY/reset: drop every mapping. `done` then lets the reply go. */
  dropMappings?(done: () => void): void;
  setupMapping?(op: Operation, nodeid: number, foffset: number, len: number, flags: number, moffset: number): number;
  /** Entries are pairs in `moffsets`/`lens` (count of them). */
  removeMapping?(op: Operation, nodeid: number, count: number, moffsets: Float64Array, lens: Float64Array): number;
  /** Called for every attribute record before it is encoded: may set the DAX flag or correct the size. In READDIRPLUS false
   * means: give this record without attributes (and the session undoes its lookup count by forget). */
  attributes?(nodeid: number, attr: Attributes, inDirectory: boolean): boolean;
  /** Called before a request for `nodeid` is executed: true = the hook keeps it, and calls `session.resume(op)` later. */
  hold?(op: Operation): boolean;
  /** Called after a request succeeded and before its reply is sent: true = the hook keeps the reply and calls `session.reply(op)`
   * (or `session.replyError(op, -errno)`) later. Sees attribute sizes through op.entry.attr, and writes that grew a file. */
  beforeReply?(op: Operation, result: number): boolean;
  /** The inode's lookup count may have reached 0 (FORGET handled). */
  forgotten?(nodeid: number): void;
}

export interface SessionOptions {
  readonly sys: Pick<Sys, 'mem'>;
  readonly fs: Filesystem;
  /** Completes the message: `written` bytes of the reply are in place (0 for requests without one). */
  readonly finish: (message: FuseMessage, written: number) => void;
  readonly hooks?: SessionHooks;
  readonly log?: Logger;
  /** Pages per request at most (reply of INIT), default 256 = 1 MiB. */
  readonly maxPages?: number;
  /** Requests in flight at most; default 1024. Further ones get -EAGAIN? no: they wait in the ring (take() gives null). */
  readonly maxOperations?: number;
  readonly readdirplus?: boolean;
  /** Drop attributes' data cache by mtime (AUTO_INVAL_DATA) or leave it to opens (EXPLICIT_INVAL_DATA); default 'auto'. */
  readonly invalidation?: 'auto' | 'explicit';
}

/** FUSE over any message transport: INIT negotiation, decoding, checks, dispatch, encoding with exact lengths. */
export declare class FuseSession implements Disposable {
  constructor(options: SessionOptions);
  /** True when another message may be handled (a free Operation exists). */
  readonly ready: boolean;
  readonly initialised: boolean;
  readonly inFlight: number;
  /** Handles one message: replies at once or later through `finish`. */
  handle(message: FuseMessage): void;
  /** Executes an operation that `hold` kept. */
  resume(op: Operation): void;
  /** Sends the reply that `beforeReply` kept. */
  reply(op: Operation): void;
  replyError(op: Operation, error: number): void;
  /** The message of an operation (for unfetch). */
  messageOf(op: Operation): FuseMessage;
  /** Forgets an operation whose message was given back to the ring: no reply is written, a late complete() is ignored. */
  abandon(op: Operation): void;
  /** Operations in flight now. */
  operations(): readonly Operation[];
  /** Reset or disconnect: fs.destroy(), state to 'not initialised'. */
  reset(): void;
  readonly stats: { readonly requests: number; readonly errors: number; readonly malformed: number };
  [Symbol.dispose](): void;
}
