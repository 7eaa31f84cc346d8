/**
 * The system calls that a serving file server and the Node under it make, found by tracing the suites: everything else is
 * refused. Numbers: asm/unistd_64.h (x86_64) and asm-generic/unistd.h (arm64).
 */
import {
  CLONE_FS,
  CLONE_THREAD,
  ENOSYS,
  EPERM,
  type FilterRule,
  PR_GET_NAME,
  PR_SET_NAME,
  PR_SET_VMA,
  type SyscallName,
  syscallNumbers,
} from '@oriel/sys';

/** Calls of `@oriel/sys`, whatever their arguments are. What makes sockets, files by path elsewhere or rights is not here. */
const OURS: readonly SyscallName[] = [
  ...(['read', 'write', 'close', 'lseek', 'pread64', 'pwrite64', 'preadv2', 'pwritev2'] as const),
  ...(['mmap', 'munmap', 'madvise', 'memfd_create'] as const),
  ...(['listen', 'accept4', 'sendmsg', 'recvmsg', 'sendto', 'shutdown', 'getsockopt'] as const),
  ...(['epoll_create1', 'epoll_ctl', 'epoll_pwait', 'eventfd2', 'pipe2', 'nanosleep', 'gettid', 'wait4'] as const),
  ...([
    'openat',
    'openat2',
    'statx',
    'getdents64',
    'readlinkat',
    'unlinkat',
    'mkdirat',
    'mknodat',
    'symlinkat',
  ] as const),
  ...(['linkat', 'renameat2', 'fchmod', 'fchmodat', 'fchownat', 'utimensat', 'ftruncate', 'fallocate'] as const),
  ...(['fsync', 'fdatasync', 'sync_file_range', 'syncfs', 'fstatfs', 'copy_file_range', 'flock'] as const),
  ...(['setxattr', 'lsetxattr', 'fsetxattr', 'getxattr', 'lgetxattr', 'fgetxattr'] as const),
  ...(['listxattr', 'llistxattr', 'flistxattr', 'removexattr', 'lremovexattr', 'fremovexattr'] as const),
  ...(['name_to_handle_at', 'open_by_handle_at'] as const),
  ...(['geteuid', 'getegid', 'setresuid', 'setresgid', 'setgroups', 'capget', 'capset', 'umask'] as const),
  'landlock_restrict_self',
];

/** [x86_64, arm64]; -1 where an architecture has no such call. */
export const OTHERS = {
  access: [21, -1],
  brk: [12, 214],
  clock_getres: [229, 114],
  clock_gettime: [228, 113],
  clock_nanosleep: [230, 115],
  dup: [32, 23],
  dup3: [292, 24],
  epoll_pwait2: [441, 441],
  epoll_wait: [232, -1],
  exit: [60, 93],
  exit_group: [231, 94],
  faccessat: [269, 48],
  faccessat2: [439, 439],
  fadvise64: [221, 223],
  fchmodat2: [452, 452],
  fchown: [93, 55],
  file_getattr: [468, 468],
  file_setattr: [469, 469],
  fstat: [5, 80],
  futex: [202, 98],
  getcwd: [79, 17],
  getgid: [104, 176],
  getpeername: [52, 205],
  getpid: [39, 172],
  getppid: [110, 173],
  getrandom: [318, 278],
  getrusage: [98, 165],
  getsockname: [51, 204],
  gettimeofday: [96, 169],
  getuid: [102, 174],
  getxattrat: [464, 464],
  listxattrat: [465, 465],
  lstat: [6, -1],
  membarrier: [324, 283],
  mprotect: [10, 226],
  mremap: [25, 216],
  newfstatat: [262, 79],
  open: [2, -1],
  pkey_alloc: [330, 289],
  pkey_free: [331, 290],
  pkey_mprotect: [329, 288],
  poll: [7, -1],
  ppoll: [271, 73],
  preadv: [295, 69],
  pwritev: [296, 70],
  readlink: [89, -1],
  readv: [19, 65],
  recvfrom: [45, 207],
  removexattrat: [466, 466],
  restart_syscall: [219, 128],
  rseq: [334, 293],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  sched_getaffinity: [204, 123],
  sched_getparam: [143, 121],
  sched_getscheduler: [145, 120],
  sched_yield: [24, 124],
  set_robust_list: [273, 99],
  setsockopt: [54, 208],
  setxattrat: [463, 463],
  sigaltstack: [131, 132],
  stat: [4, -1],
  statfs: [137, 43],
  sysinfo: [99, 179],
  uname: [63, 160],
  // A socket file may lie where it can be reached, beside crash records; unlinkat can do no less.
  unlink: [87, -1],
  writev: [20, 66],
} as const;

/** Calls with an argument to look at, or that fail softly so that a library goes another way. */
export const JUDGED = {
  clone: [56, 220],
  clone3: [435, 435],
  io_uring_setup: [425, 425],
  kill: [62, 129],
  tgkill: [234, 131],
} as const;

/**
 * Requests that ask about or change a file: asm-generic/ioctls.h (TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX),
 * linux/fs.h (FS_IOC_ GETFLAGS, SETFLAGS, GETVERSION, FSGETXATTR, FSSETXATTR), linux/fsverity.h (ENABLE, MEASURE).
 */
const REQUESTS = [
  ...[0x5401, 0x5413, 0x541b, 0x5421, 0x5450, 0x5451],
  ...[0x80086601, 0x40086602, 0x80087601, 0x801c581f, 0x401c5820, 0x40806685, 0xc0046686],
];

/**
 * Of descriptors, locks and seals: F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK,
 * F_OFD_SETLKW, F_DUPFD_CLOEXEC, F_ADD_SEALS, F_GET_SEALS. What has signals sent (F_SETOWN, F_SETSIG, leases) is not here.
 */
const FCNTL = [0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1033, 1034];

/** What Node must do without from its start. @param arch - as `process.arch` has it */
export function refusedCalls(arch: string): readonly FilterRule[] {
  return [{ nr: JUDGED.io_uring_setup[arch === 'x64' ? 0 : 1], errno: ENOSYS }];
}

/** What leads out of a root that is a directory only. @param arch - as `process.arch` has it */
export function refusedBehindChroot(arch: string): readonly FilterRule[] {
  return [{ nr: syscallNumbers(arch)!.chroot, errno: EPERM }];
}

/**
 * The rules for one process.
 * @param pid - of this process: it may signal and read itself alone
 * @param arch - as `process.arch` has it
 * @throws RangeError for an architecture without numbers
 */
export function allowedCalls(pid: number, arch: string): readonly FilterRule[] {
  const column = arch === 'x64' ? 0 : 1;
  const sys = syscallNumbers(arch);
  if (sys === undefined) {
    throw new RangeError(`no system call filter for ${arch}`);
  }
  const numbers = [...OURS.map((name) => sys[name]), ...Object.values(OTHERS).map((pair) => pair[column])];
  const nr = (name: keyof typeof JUDGED): number => JUDGED[name][column];
  return [
    ...numbers.filter((number) => number >= 0).map((number) => ({ nr: number })),
    // Threads, no processes: the flags of clone3 lie in memory, where a filter cannot look, so a library must use clone.
    { nr: nr('clone'), when: { arg: 0, mask: CLONE_THREAD, values: [CLONE_THREAD] } },
    { nr: nr('clone3'), errno: ENOSYS },
    ...refusedCalls(arch),
    { nr: nr('kill'), when: { arg: 0, values: [pid] } },
    { nr: nr('tgkill'), when: { arg: 0, values: [pid] } },
    // A umask of a thread's own; the flags of all namespaces are others.
    { nr: sys.unshare, when: { arg: 0, values: [CLONE_FS] } },
    { nr: sys.process_vm_readv, when: { arg: 0, values: [pid] } },
    { nr: sys.prlimit64, when: { arg: 0, values: [0, pid] } },
    { nr: sys.prctl, when: { arg: 0, values: [PR_SET_NAME, PR_GET_NAME, PR_SET_VMA] } },
    { nr: sys.ioctl, when: { arg: 1, values: REQUESTS } },
    { nr: sys.fcntl, when: { arg: 1, values: FCNTL } },
  ];
}
