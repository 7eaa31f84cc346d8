/** Constants of the FUSE protocol 7.46 (linux/fuse.h, Linux 7.3): C names and values. */
import { TWO_32 } from '@oriel/layout';

export const FUSE_KERNEL_VERSION = 7;
export const FUSE_KERNEL_MINOR_VERSION = 46;
/** nodeid of the root directory. */
export const FUSE_ROOT_ID = 1;

// enum fuse_opcode
export const FUSE_LOOKUP = 1;
export const FUSE_FORGET = 2;
export const FUSE_GETATTR = 3;
export const FUSE_SETATTR = 4;
export const FUSE_READLINK = 5;
export const FUSE_SYMLINK = 6;
export const FUSE_MKNOD = 8;
export const FUSE_MKDIR = 9;
export const FUSE_UNLINK = 10;
export const FUSE_RMDIR = 11;
export const FUSE_RENAME = 12;
export const FUSE_LINK = 13;
export const FUSE_OPEN = 14;
export const FUSE_READ = 15;
export const FUSE_WRITE = 16;
export const FUSE_STATFS = 17;
export const FUSE_RELEASE = 18;
export const FUSE_FSYNC = 20;
export const FUSE_SETXATTR = 21;
export const FUSE_GETXATTR = 22;
export const FUSE_LISTXATTR = 23;
export const FUSE_REMOVEXATTR = 24;
export const FUSE_FLUSH = 25;
export const FUSE_INIT = 26;
export const FUSE_OPENDIR = 27;
export const FUSE_READDIR = 28;
export const FUSE_RELEASEDIR = 29;
export const FUSE_FSYNCDIR = 30;
export const FUSE_GETLK = 31;
export const FUSE_SETLK = 32;
export const FUSE_SETLKW = 33;
export const FUSE_ACCESS = 34;
export const FUSE_CREATE = 35;
export const FUSE_INTERRUPT = 36;
export const FUSE_BMAP = 37;
export const FUSE_DESTROY = 38;
export const FUSE_IOCTL = 39;
export const FUSE_POLL = 40;
export const FUSE_NOTIFY_REPLY = 41;
export const FUSE_BATCH_FORGET = 42;
export const FUSE_FALLOCATE = 43;
export const FUSE_READDIRPLUS = 44;
export const FUSE_RENAME2 = 45;
export const FUSE_LSEEK = 46;
export const FUSE_COPY_FILE_RANGE = 47;
export const FUSE_SETUPMAPPING = 48;
export const FUSE_REMOVEMAPPING = 49;
export const FUSE_SYNCFS = 50;
export const FUSE_TMPFILE = 51;
export const FUSE_STATX = 52;
export const FUSE_COPY_FILE_RANGE_64 = 53;

// INIT request and reply flags, low word
export const FUSE_ASYNC_READ = 0x1;
export const FUSE_POSIX_LOCKS = 0x2;
export const FUSE_FILE_OPS = 0x4;
export const FUSE_ATOMIC_O_TRUNC = 0x8;
export const FUSE_EXPORT_SUPPORT = 0x10;
export const FUSE_BIG_WRITES = 0x20;
export const FUSE_DONT_MASK = 0x40;
export const FUSE_SPLICE_WRITE = 0x80;
export const FUSE_SPLICE_MOVE = 0x100;
export const FUSE_SPLICE_READ = 0x200;
export const FUSE_FLOCK_LOCKS = 0x400;
export const FUSE_HAS_IOCTL_DIR = 0x800;
export const FUSE_AUTO_INVAL_DATA = 0x1000;
export const FUSE_DO_READDIRPLUS = 0x2000;
export const FUSE_READDIRPLUS_AUTO = 0x4000;
export const FUSE_ASYNC_DIO = 0x8000;
export const FUSE_WRITEBACK_CACHE = 0x1_0000;
export const FUSE_NO_OPEN_SUPPORT = 0x2_0000;
export const FUSE_PARALLEL_DIROPS = 0x4_0000;
export const FUSE_HANDLE_KILLPRIV = 0x8_0000;
export const FUSE_POSIX_ACL = 0x10_0000;
export const FUSE_ABORT_ERROR = 0x20_0000;
export const FUSE_MAX_PAGES = 0x40_0000;
export const FUSE_CACHE_SYMLINKS = 0x80_0000;
export const FUSE_NO_OPENDIR_SUPPORT = 0x100_0000;
export const FUSE_EXPLICIT_INVAL_DATA = 0x200_0000;
export const FUSE_MAP_ALIGNMENT = 0x400_0000;
export const FUSE_SUBMOUNTS = 0x800_0000;
export const FUSE_HANDLE_KILLPRIV_V2 = 0x1000_0000;
export const FUSE_SETXATTR_EXT = 0x2000_0000;
export const FUSE_INIT_EXT = 0x4000_0000;
export const FUSE_INIT_RESERVED = 0x8000_0000;

// INIT flags from bit 32 on: C's 64-bit values; on the wire they stand in `flags2` (see {@link flags2})
export const FUSE_SECURITY_CTX = 0x1_0000_0000;
export const FUSE_HAS_INODE_DAX = 0x2_0000_0000;
export const FUSE_CREATE_SUPP_GROUP = 0x4_0000_0000;
export const FUSE_HAS_EXPIRE_ONLY = 0x8_0000_0000;
export const FUSE_DIRECT_IO_ALLOW_MMAP = 0x10_0000_0000;
export const FUSE_PASSTHROUGH = 0x20_0000_0000;
export const FUSE_NO_EXPORT_SUPPORT = 0x40_0000_0000;
export const FUSE_HAS_RESEND = 0x80_0000_0000;
export const FUSE_ALLOW_IDMAP = 0x100_0000_0000;
export const FUSE_OVER_IO_URING = 0x200_0000_0000;
export const FUSE_REQUEST_TIMEOUT = 0x400_0000_0000;
export const FUSE_HAS_IO_URING_BUFPOOL = 0x800_0000_0000;

/** The bit of an INIT flag >= 2^32 in the `flags2` word. */
export function flags2(flag: number): number {
  return flag / TWO_32;
}

// fuse_setattr_in.valid
export const FATTR_MODE = 0x1;
export const FATTR_UID = 0x2;
export const FATTR_GID = 0x4;
export const FATTR_SIZE = 0x8;
export const FATTR_ATIME = 0x10;
export const FATTR_MTIME = 0x20;
export const FATTR_FH = 0x40;
export const FATTR_ATIME_NOW = 0x80;
export const FATTR_MTIME_NOW = 0x100;
export const FATTR_LOCKOWNER = 0x200;
export const FATTR_CTIME = 0x400;
export const FATTR_KILL_SUIDGID = 0x800;

// fuse_open_out.open_flags
export const FOPEN_DIRECT_IO = 0x1;
export const FOPEN_KEEP_CACHE = 0x2;
export const FOPEN_NONSEEKABLE = 0x4;
export const FOPEN_CACHE_DIR = 0x8;
export const FOPEN_STREAM = 0x10;
export const FOPEN_NOFLUSH = 0x20;
export const FOPEN_PARALLEL_DIRECT_WRITES = 0x40;
export const FOPEN_PASSTHROUGH = 0x80;
export const FOPEN_IO_URING_ZERO_COPY = 0x100;

// flags of single requests
export const FUSE_RELEASE_FLUSH = 0x1;
export const FUSE_RELEASE_FLOCK_UNLOCK = 0x2;
export const FUSE_GETATTR_FH = 0x1;
export const FUSE_LK_FLOCK = 0x1;
export const FUSE_WRITE_CACHE = 0x1;
export const FUSE_WRITE_LOCKOWNER = 0x2;
export const FUSE_WRITE_KILL_SUIDGID = 0x4;
export const FUSE_READ_LOCKOWNER = 0x2;
export const FUSE_FSYNC_FDATASYNC = 0x1;
export const FUSE_OPEN_KILL_SUIDGID = 0x1;
export const FUSE_SETXATTR_ACL_KILL_SGID = 0x1;
export const FUSE_IOCTL_COMPAT = 0x1;
export const FUSE_IOCTL_UNRESTRICTED = 0x2;
export const FUSE_IOCTL_RETRY = 0x4;
export const FUSE_IOCTL_32BIT = 0x8;
export const FUSE_IOCTL_DIR = 0x10;
export const FUSE_IOCTL_COMPAT_X32 = 0x20;
export const FUSE_SETUPMAPPING_FLAG_WRITE = 0x1;
export const FUSE_SETUPMAPPING_FLAG_READ = 0x2;

// fuse_attr.flags
export const FUSE_ATTR_SUBMOUNT = 0x1;
export const FUSE_ATTR_DAX = 0x2;

// extension types
export const FUSE_MAX_NR_SECCTX = 31;
export const FUSE_EXT_GROUPS = 32;

/** uid and gid of requests that create nothing, once FUSE_ALLOW_IDMAP is agreed. */
export const FUSE_INVALID_UIDGID = 0xffff_ffff;
