/** The file system behind a session. */
import type { Address } from '@oriel/sys';
import type { DirSink } from './dir-sink.ts';
import type { FileLock } from './file-lock.ts';
import type { IoVector } from './io-vector.ts';
import type { MapInfo } from './map-info.ts';
import type { Name } from './name.ts';
import type { Operation } from './operation.ts';
import type { SessionFeatures } from './session-features.ts';
import type { SetAttr } from './set-attr.ts';
import type { StatfsOut } from './statfs.ts';
import type { StatxOut } from './statx.ts';
import type { FilesystemJournal } from './survival/journal.ts';
import type { FilesystemMigration } from './survival/migration.ts';

/**
 * A file system that a session serves. Methods are synchronous: they return 0 or a positive count, a negative errno, or
 * PENDING. nodeid 1 is the root. Lookup counts: each success of lookup (with a nodeid), create, mknod, mkdir, symlink, link,
 * tmpfile and each READDIRPLUS record with an entry adds one; `forget` subtracts. Handles and nodeids are safe integers
 * chosen by the implementation; the session has checked that nodeid and fh are safe, not that they exist. A method that
 * returned PENDING must complete its operation exactly once, also when `destroy` comes first; what it opened or counted
 * after a `destroy` it must drop itself. -ENOSYS reaches the driver as -EOPNOTSUPP, since ENOSYS switches an opcode off
 * until the next mount: leave an optional method out for that. Names, buffers and `op` are valid until completion.
 */
export interface Filesystem {
  /** What it wants to be agreed at INIT. */
  readonly features?: SessionFeatures;
  /** INIT is done, or the session of a journal or of another host goes on: what was agreed, `flagsHi` the flags from 2^32 on. */
  initialised?(flagsLo: number, flagsHi: number): void;
  /** INIT (again): drop all state of an older session. */
  init?(op: Operation): number;
  /** DESTROY, reset or disconnect: drop handles and inodes. */
  destroy(): void;
  /** Fills `op.entry`. */
  lookup(op: Operation, parent: number, name: Name): number;
  /** @param op - the request; null where the session takes back what it counted itself */
  forget(nodeid: number, count: number, op: Operation | null): void;
  /** Fills `op.entry.attr`. `fh` -1: none. */
  getattr(op: Operation, nodeid: number, fh: number): number;
  /** As `getattr`, and fills `out`. */
  statx?(op: Operation, nodeid: number, fh: number, out: StatxOut): number;
  /** Fills `op.entry.attr`. */
  setattr(op: Operation, nodeid: number, change: SetAttr): number;
  /** Writes the target, without NUL, to at most `len` bytes. @returns bytes */
  readlink(op: Operation, nodeid: number, to: Address, len: number): number;
  /** Fills `op.entry`, like the next three. */
  symlink(op: Operation, parent: number, name: Name, target: Name): number;
  /** `rdev` as in `struct fuse_attr`: minor's low 8 bits, major << 8, minor's high bits << 12. */
  mknod(op: Operation, parent: number, name: Name, mode: number, rdev: number): number;
  mkdir(op: Operation, parent: number, name: Name, mode: number): number;
  link(op: Operation, nodeid: number, newParent: number, newName: Name): number;
  unlink(op: Operation, parent: number, name: Name): number;
  rmdir(op: Operation, parent: number, name: Name): number;
  /** `flags`: RENAME_NOREPLACE 1, RENAME_EXCHANGE 2, RENAME_WHITEOUT 4. */
  rename(op: Operation, parent: number, name: Name, newParent: number, newName: Name, flags: number): number;
  /** Sets `op.fh` and `op.openFlags`. `flags`: O_*. */
  open(op: Operation, nodeid: number, flags: number, killSuidgid: boolean): number;
  /** Fills `op.entry`, sets `op.fh` and `op.openFlags`. */
  create(op: Operation, parent: number, name: Name, flags: number, mode: number, killSuidgid: boolean): number;
  /** As `create`, of a file without a name. */
  tmpfile?(op: Operation, parent: number, flags: number, mode: number): number;
  /** @returns bytes; fewer than `io.len` means the end of the file */
  read(op: Operation, nodeid: number, fh: number, offset: number, io: IoVector): number;
  /** `openFlags`: O_* of the file; `writeFlags`: FUSE_WRITE_*. @returns bytes */
  write(
    op: Operation,
    nodeid: number,
    fh: number,
    offset: number,
    io: IoVector,
    openFlags: number,
    writeFlags: number,
  ): number;
  /** close(2) of one of the driver's descriptors: locks of that owner on the inode end. */
  flush(op: Operation, nodeid: number, fh: number, ownerLo: number, ownerHi: number): number;
  release(op: Operation, nodeid: number, fh: number): number;
  fsync(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number;
  /** Sets `op.fh` and `op.openFlags`. */
  opendir(op: Operation, nodeid: number, flags: number): number;
  /** `plus`: READDIRPLUS. Cookie 0:0 starts at the first record; what `sink` holds afterwards is the reply. */
  readdir(
    op: Operation,
    nodeid: number,
    fh: number,
    cookieLo: number,
    cookieHi: number,
    sink: DirSink,
    plus: boolean,
  ): number;
  releasedir(op: Operation, nodeid: number, fh: number): number;
  fsyncdir(op: Operation, nodeid: number, fh: number, dataOnly: boolean): number;
  statfs(op: Operation, nodeid: number, out: StatfsOut): number;
  /** `mode`: FALLOC_FL_*. */
  fallocate(op: Operation, nodeid: number, fh: number, offset: number, len: number, mode: number): number;
  /** Sets `op.offset` to the new offset. */
  lseek(op: Operation, nodeid: number, fh: number, offset: number, whence: number): number;
  /** @returns bytes; `len` is below 2^30 */
  copyFileRange?(
    op: Operation,
    nodeidIn: number,
    fhIn: number,
    offIn: number,
    nodeidOut: number,
    fhOut: number,
    offOut: number,
    len: number,
  ): number;
  /** Which locks come here; without it each guest keeps its own to itself. `getlk` and `setlk` are there then. */
  readonly locks?: { readonly posix: boolean; readonly flock: boolean };
  /** Whether `lock` could be had: makes it the one in its way, or of type F_UNLCK. */
  getlk?(op: Operation, nodeid: number, fh: number, lock: FileLock): number;
  /**
   * Takes or gives up a lock. -EAGAIN: somebody else has it.
   * @param wait - PENDING until it can be had. It may take for ever, and `cancel` may end it
   */
  setlk?(op: Operation, nodeid: number, fh: number, lock: FileLock, wait: boolean): number;
  /**
   * Ends the wait of an operation that has done nothing yet which doing it anew would do twice, without completing it: a `setlk` that
   * waits for its lock, a look at what does not answer.
   * @returns false when the operation is no such one: it will be completed
   */
  cancel?(op: Operation): boolean;
  /** A ring is about to stop: waits for operations that are under way, but no longer than some milliseconds; 0: ends what is done. */
  settle?(ms: number): void;
  /**
   * An ioctl(2) whose argument is `inSize` bytes at `input`; its answer are up to `outSize` bytes at `output`, zeros at first. The
   * driver waits for it with the file locked where `cmd` is one of file attributes.
   * @param cmd - as the driver's caller gave it: direction, size, type and number
   * @returns bytes of the answer, or a negative errno: -ENOTTY for a `cmd` that means nothing here
   */
  ioctl?(
    op: Operation,
    nodeid: number,
    fh: number,
    cmd: number,
    input: Address,
    inSize: number,
    output: Address,
    outSize: number,
  ): number;
  syncfs?(op: Operation, nodeid: number): number;
  /** `size` 0 asks for the length only. @returns bytes; -ERANGE when they do not fit */
  getxattr?(op: Operation, nodeid: number, name: Name, to: Address, size: number): number;
  setxattr?(
    op: Operation,
    nodeid: number,
    name: Name,
    value: Address,
    size: number,
    flags: number,
    aclKillSgid: boolean,
  ): number;
  /** NUL-terminated names behind each other; `size` as in `getxattr`. */
  listxattr?(op: Operation, nodeid: number, to: Address, size: number): number;
  removexattr?(op: Operation, nodeid: number, name: Name): number;
  /**
   * For a DAX window: the next `mapInfo` and `openForMapping` of an inode will not wait.
   * @param done - called later where the result is PENDING
   * @returns 0 or PENDING; whatever went wrong, those two will tell
   */
  prepareMapping?(nodeid: number, done: () => void): number;
  /** For a DAX window: facts of an inode into `out`. -errno when unknown. */
  mapInfo?(nodeid: number, out: MapInfo): number;
  /**
   * Opens a further, own open file description (O_RDWR) of a regular file for a mapping.
   * @returns an fd that the caller owns, or -errno (-EROFS, -EACCES, -ETXTBSY)
   */
  openForMapping?(nodeid: number): number;
  /** What `openForMapping` gives ends with a whole 2 MiB: a file can be mapped to its last byte, whatever its size. */
  readonly mapsWholeRanges?: boolean;
  /** How its sessions move to another host; absent: they cannot. */
  readonly migration?: FilesystemMigration;
  /** Bytes of its part of a journal, a multiple of 8; absent: nothing of it outlives the process. */
  readonly journalBytes?: number;
  /**
   * A session is about to begin, or to go on by `restore`: from now on all that another process needs is written there, and
   * each request of `op.intent` is done once. Nothing but the root is known.
   * @returns 0, or a negative errno: there is no journal then
   */
  openJournal?(journal: FilesystemJournal): number;
  /** Brings the session of the journal back. @returns 0, or a negative errno: nothing but the root is known then */
  restore?(): number;
  /** The journal is not to be touched any more, and stays as it is: drops handles and inodes as `destroy`. */
  closeJournal?(): void;
}
