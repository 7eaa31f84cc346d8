/** Structures that cross the system call boundary, as their C headers give them. */
import { array, bytes, I32, pad, struct, U8, U16, U32, U64 } from '@oriel/layout';

/** `struct statx` (linux/stat.h), 256 bytes. Times are `__s64` seconds: negative before 1970, so read `lo`/`hi`. */
export const Statx = struct('statx', {
  stxMask: U32,
  stxBlksize: U32,
  stxAttributes: U64,
  stxNlink: U32,
  stxUid: U32,
  stxGid: U32,
  stxMode: U16,
  spare0: pad(2),
  stxIno: U64,
  stxSize: U64,
  stxBlocks: U64,
  stxAttributesMask: U64,
  stxAtimeSec: U64,
  stxAtimeNsec: U32,
  atimeReserved: pad(4),
  stxBtimeSec: U64,
  stxBtimeNsec: U32,
  btimeReserved: pad(4),
  stxCtimeSec: U64,
  stxCtimeNsec: U32,
  ctimeReserved: pad(4),
  stxMtimeSec: U64,
  stxMtimeNsec: U32,
  mtimeReserved: pad(4),
  stxRdevMajor: U32,
  stxRdevMinor: U32,
  stxDevMajor: U32,
  stxDevMinor: U32,
  stxMntId: U64,
  stxDioMemAlign: U32,
  stxDioOffsetAlign: U32,
  spare3: pad(96),
});

/** `struct flock` (asm-generic/fcntl.h, 64-bit): `len` 0 reaches to the end of the file. */
export const FileLock = struct('flock', {
  type: U16,
  whence: U16,
  pad0: pad(4),
  start: U64,
  len: U64,
  pid: I32,
  pad1: pad(4),
});

/** `struct statfs` (asm-generic/statfs.h, 64-bit), 120 bytes. */
export const Statfs = struct('statfs', {
  fType: U64,
  fBsize: U64,
  fBlocks: U64,
  fBfree: U64,
  fBavail: U64,
  fFiles: U64,
  fFfree: U64,
  fFsid: bytes(8, 4),
  fNamelen: U64,
  fFrsize: U64,
  fFlags: U64,
  fSpare: pad(32),
});

/** `struct timespec` (time.h, 64-bit), 16 bytes. */
export const Timespec = struct('timespec', { tvSec: U64, tvNsec: U64 });

/** `struct iovec` (sys/uio.h, 64-bit), 16 bytes. */
export const Iovec = struct('iovec', { iovBase: U64, iovLen: U64 });

/** `struct open_how` (linux/openat2.h), 24 bytes. */
export const OpenHow = struct('open_how', { flags: U64, mode: U64, resolve: U64 });

/** Head of `struct file_handle` (fcntl.h); up to MAX_HANDLE_SZ bytes follow. */
export const FileHandle = struct('file_handle', { handleBytes: U32, handleType: I32 });

/** Head of `struct linux_dirent64` (getdents64(2)); the NUL-terminated name follows at byte 19, packed. */
export const LinuxDirent64 = struct('linux_dirent64', { dIno: U64, dOff: U64, dReclen: U16, dType: U8 });

/** `struct msghdr` (sys/socket.h, 64-bit), 56 bytes. */
export const Msghdr = struct('msghdr', {
  msgName: U64,
  msgNamelen: U32,
  pad0: pad(4),
  msgIov: U64,
  msgIovlen: U64,
  msgControl: U64,
  msgControllen: U64,
  msgFlags: U32,
  pad1: pad(4),
});

/** `struct cmsghdr` (sys/socket.h, 64-bit), 16 bytes; the data follows, and the next header at a multiple of 8. */
export const Cmsghdr = struct('cmsghdr', { cmsgLen: U64, cmsgLevel: I32, cmsgType: I32 });

/** `struct sockaddr_un` (sys/un.h), 110 bytes. */
export const SockaddrUn = struct('sockaddr_un', { sunFamily: U16, sunPath: bytes(108) });

/** `struct epoll_event` (sys/epoll.h) of this host: packed into 12 bytes on x86_64, 16 bytes elsewhere. */
export const EpollEvent =
  process.arch === 'x64'
    ? struct('epoll_event', { events: U32, data: U64 }, { packed: true })
    : struct('epoll_event', { events: U32, pad0: pad(4), data: U64 });

/** `struct __user_cap_header_struct` (linux/capability.h), 8 bytes. */
export const CapHeader = struct('__user_cap_header_struct', { version: U32, pid: I32 });

/** Two `struct __user_cap_data_struct` (linux/capability.h), 24 bytes: low 32 capabilities, then high. */
export const CapData = struct('__user_cap_data_struct', { words: array(U32, 6) });

/** `struct sock_filter` (linux/filter.h), 8 bytes: one instruction of a filter. */
export const SockFilter = struct('sock_filter', { code: U16, jt: U8, jf: U8, k: U32 });

/** `struct sock_fprog` (linux/filter.h, 64-bit), 16 bytes. */
export const SockFprog = struct('sock_fprog', { len: U16, pad0: pad(6), filter: U64 });

/** `struct seccomp_data` (linux/seccomp.h), 64 bytes: what a filter sees of a call. */
export const SeccompData = struct('seccomp_data', { nr: I32, arch: U32, instructionPointer: U64, args: array(U64, 6) });

/** `struct landlock_ruleset_attr` (linux/landlock.h) up to Linux 6.12, 24 bytes; an older kernel takes the first fields. */
export const LandlockRulesetAttr = struct('landlock_ruleset_attr', {
  handledAccessFs: U64,
  handledAccessNet: U64,
  scoped: U64,
});

/** `struct landlock_path_beneath_attr` (linux/landlock.h), packed into 12 bytes. */
export const LandlockPathBeneathAttr = struct(
  'landlock_path_beneath_attr',
  { allowedAccess: U64, parentFd: I32 },
  { packed: true },
);
