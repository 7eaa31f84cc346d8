/**
 * What is to be known of a system call that another thread makes: which of its arguments are texts and which are memory. By the time
 * that it is made this thread may have used the memory for something else.
 */
import { U64 } from '@oriel/layout';
import {
  AT_STATX_DONT_SYNC,
  FileHandle,
  FileLock,
  Iovec,
  O_CREAT,
  O_PATH,
  O_TMPFILE,
  O_TRUNC,
  OpenHow,
  Statfs,
  Statx,
  SYS,
  Timespec,
} from '@oriel/sys';
import { FS_IOC_MEASURE_VERITY } from '../file-attributes.ts';

/** Arguments as `SysFile` has them. */
export type CallArgs = readonly number[];

/** One argument that is the address of memory. Bytes. */
export interface CallMemory {
  /** Which argument. */
  readonly at: number;
  readonly room: (args: CallArgs) => number;
  /** What the call reads; none if absent. */
  readonly reads?: (args: CallArgs) => number;
  /** What the call has written; none if absent. `room` bounds it. */
  readonly writes?: (args: CallArgs, result: number, bytes: DataView) => number;
}

/** One system call. */
export interface CallShape {
  readonly nr: number;
  /** Which arguments are addresses of NUL-terminated texts. */
  readonly texts: readonly number[];
  readonly memory: readonly CallMemory[];
  /** Doing it twice is as good as once. */
  readonly repeatable: (args: CallArgs) => boolean;
  /** Its result is a new descriptor. */
  readonly makesFd: boolean;
  /** Bytes of data that the call brings or takes, in memory of the run; none if absent. */
  readonly data?: (args: CallArgs) => number;
  /**
   * The arguments as the kernel has them, where those are others.
   * @param put - copies a structure; gives its address
   * @param data - address of the data
   */
  readonly encode?: (args: CallArgs, put: (bytes: Uint8Array) => number, data: number) => number[];
}

type Rest = Partial<Omit<CallShape, 'nr'>>;

const never = (): boolean => false;
const always = (): boolean => true;
/** Opens that neither make nor cut a file. */
const opens = (args: CallArgs): boolean =>
  (args[2]! & (O_CREAT | O_TRUNC | O_TMPFILE)) === 0 || (args[2]! & O_PATH) !== 0;

function shape(nr: number, texts: readonly number[] = [], rest: Rest = {}): CallShape {
  return { nr, texts, memory: [], makesFd: false, repeatable: never, ...rest };
}

/** Memory of a fixed size that the call fills when it succeeds. */
const filled = (at: number, bytes: number): CallMemory => ({ at, room: () => bytes, writes: () => bytes });
/** Memory whose length is an argument; the result says how much was filled. */
const counted = (at: number, len: number): CallMemory => ({
  at,
  room: (args) => args[len]!,
  writes: (_args, result) => result,
});
/** Memory of a fixed size that the call reads and changes. */
const changed = (at: number, bytes: number): CallMemory => ({
  at,
  room: () => bytes,
  reads: () => bytes,
  writes: () => bytes,
});

/** A handle as `FileHandles` keeps them, with its head. */
const HANDLE_BYTES = 32;
/** `struct fsverity_digest` with the longest digest. */
const IOCTL_ROOM = 128;
const DIGEST_HEAD = 4;
const DIGEST_SIZE = 2;
/** _IOC_SIZE of linux/ioctl.h. */
const ioctlSize = (request: number): number => (request >>> 16) & 0x3fff;

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  U64.at(0).set(new DataView(bytes.buffer), 0, value);
  return bytes;
}

/** The calls of `SysFile` that helper threads make, by its names for them. */
export const CALLS = {
  openat: shape(SYS.openat, [1], { makesFd: true, repeatable: opens }),
  openat2: shape(SYS.openat2, [1], {
    makesFd: true,
    repeatable: opens,
    encode([dirfd, path, flags, mode, resolve], put) {
      const how = new Uint8Array(OpenHow.byteLength);
      const view = new DataView(how.buffer);
      OpenHow.flags.set(view, 0, flags!);
      OpenHow.mode.set(view, 0, mode!);
      OpenHow.resolve.set(view, 0, resolve!);
      return [dirfd!, path!, put(how), OpenHow.byteLength];
    },
  }),
  statx: shape(SYS.statx, [1], {
    repeatable: always,
    memory: [filled(4, Statx.byteLength)],
    // In another thread it may ask the server, which knows best.
    encode: ([dirfd, path, flags, mask, buf]) => [dirfd!, path!, flags! & ~AT_STATX_DONT_SYNC, mask!, buf!],
  }),
  getdents64: shape(SYS.getdents64, [], { repeatable: always, memory: [counted(1, 2)] }),
  lseek: shape(SYS.lseek, [], { repeatable: always }),
  readlinkat: shape(SYS.readlinkat, [1], { repeatable: always, memory: [counted(2, 3)] }),
  unlinkat: shape(SYS.unlinkat, [1]),
  mkdirat: shape(SYS.mkdirat, [1]),
  mknodat: shape(SYS.mknodat, [1]),
  symlinkat: shape(SYS.symlinkat, [0, 2]),
  linkat: shape(SYS.linkat, [1, 3]),
  renameat2: shape(SYS.renameat2, [1, 3]),
  fchmod: shape(SYS.fchmod),
  fchmodat: shape(SYS.fchmodat, [1]),
  fchownat: shape(SYS.fchownat, [1]),
  utimensat: shape(SYS.utimensat, [1], {
    memory: [{ at: 2, room: () => 2 * Timespec.byteLength, reads: () => 2 * Timespec.byteLength }],
  }),
  ftruncate: shape(SYS.ftruncate),
  fallocate: shape(SYS.fallocate),
  fsync: shape(SYS.fsync),
  fdatasync: shape(SYS.fdatasync),
  syncfs: shape(SYS.syncfs),
  fstatfs: shape(SYS.fstatfs, [], { repeatable: always, memory: [filled(1, Statfs.byteLength)] }),
  setxattr: shape(SYS.setxattr, [0, 1], {
    memory: [{ at: 2, room: (args) => args[3]!, reads: (args) => args[3]! }],
  }),
  getxattr: shape(SYS.getxattr, [0, 1], {
    repeatable: always,
    memory: [{ at: 2, room: (args) => args[3]!, writes: (args, result) => (args[3] === 0 ? 0 : result) }],
  }),
  listxattr: shape(SYS.listxattr, [0], {
    repeatable: always,
    memory: [{ at: 1, room: (args) => args[2]!, writes: (args, result) => (args[2] === 0 ? 0 : result) }],
  }),
  removexattr: shape(SYS.removexattr, [0, 1]),
  flock: shape(SYS.flock, [], { repeatable: always }),
  fcntlLock: shape(SYS.fcntl, [], { repeatable: always, memory: [changed(2, FileLock.byteLength)] }),
  ioctl: shape(SYS.ioctl, [], {
    memory: [
      {
        at: 2,
        room: () => IOCTL_ROOM,
        reads: (args) => ioctlSize(args[1]!),
        writes: (args, _result, bytes) =>
          args[1] === FS_IOC_MEASURE_VERITY ? DIGEST_HEAD + bytes.getUint16(DIGEST_SIZE, true) : ioctlSize(args[1]!),
      },
    ],
  }),
  nameToHandleAt: shape(SYS.name_to_handle_at, [1], {
    repeatable: always,
    memory: [changed(2, HANDLE_BYTES), filled(3, 4)],
  }),
  openByHandleAt: shape(SYS.open_by_handle_at, [], {
    repeatable: always,
    memory: [{ at: 1, room: () => HANDLE_BYTES, reads: () => HANDLE_BYTES }],
    makesFd: true,
  }),
  copyFileRange: shape(SYS.copy_file_range, [], {
    encode([from, offIn, to, offOut, len], put) {
      return [from!, put(u64(offIn!)), to!, put(u64(offOut!)), len!, 0];
    },
  }),
  close: shape(SYS.close, [], { repeatable: always }),
  /** (fd, len, offset) */
  pread: shape(SYS.pread64, [], {
    repeatable: always,
    data: (args) => args[1]!,
    encode: ([fd, len, offset], _put, data) => [fd!, data, len!, offset!],
  }),
  /** (fd, len, offset, RWF_*) */
  pwritev2: shape(SYS.pwritev2, [], {
    data: (args) => args[1]!,
    encode([fd, len, offset, flags], put, data) {
      const vector = new Uint8Array(Iovec.byteLength);
      const view = new DataView(vector.buffer);
      Iovec.iovBase.set(view, 0, data);
      Iovec.iovLen.set(view, 0, len!);
      return [fd!, put(vector), 1, offset!, 0, flags!];
    },
  }),
} satisfies Record<string, CallShape>;

/** Of a call that never waits. */
export const DUP: CallShape = shape(SYS.fcntl, [], { makesFd: true, repeatable: always });

if (FileHandle.byteLength > HANDLE_BYTES) {
  throw new RangeError('a file handle has room for its head');
}
