/**
 * System call numbers by name, for the two hosts that Oriel runs on: asm/unistd_64.h (x86_64) and asm-generic/unistd.h
 * (arm64). A call that the table lacks cannot be made.
 */

/** name: [x86_64, arm64] */
const NUMBERS = {
  read: [0, 63],
  write: [1, 64],
  close: [3, 57],
  lseek: [8, 62],
  pread64: [17, 67],
  pwrite64: [18, 68],
  preadv2: [327, 286],
  pwritev2: [328, 287],
  fcntl: [72, 25],
  prlimit64: [302, 261],
  mmap: [9, 222],
  munmap: [11, 215],
  madvise: [28, 233],
  memfd_create: [319, 279],
  process_vm_readv: [310, 270],
  socket: [41, 198],
  socketpair: [53, 199],
  bind: [49, 200],
  listen: [50, 201],
  connect: [42, 203],
  accept4: [288, 242],
  sendmsg: [46, 211],
  recvmsg: [47, 212],
  sendto: [44, 206],
  shutdown: [48, 210],
  getsockopt: [55, 209],
  epoll_create1: [291, 20],
  epoll_ctl: [233, 21],
  epoll_pwait: [281, 22],
  eventfd2: [290, 19],
  pipe2: [293, 59],
  openat: [257, 56],
  openat2: [437, 437],
  statx: [332, 291],
  getdents64: [217, 61],
  readlinkat: [267, 78],
  unlinkat: [263, 35],
  mkdirat: [258, 34],
  mknodat: [259, 33],
  symlinkat: [266, 36],
  linkat: [265, 37],
  renameat2: [316, 276],
  fchmod: [91, 52],
  fchmodat: [268, 53],
  fchownat: [260, 54],
  utimensat: [280, 88],
  ftruncate: [77, 46],
  fallocate: [285, 47],
  fsync: [74, 82],
  fdatasync: [75, 83],
  sync_file_range: [277, 84],
  syncfs: [306, 267],
  fstatfs: [138, 44],
  copy_file_range: [326, 285],
  setxattr: [188, 5],
  lsetxattr: [189, 6],
  fsetxattr: [190, 7],
  getxattr: [191, 8],
  lgetxattr: [192, 9],
  fgetxattr: [193, 10],
  listxattr: [194, 11],
  llistxattr: [195, 12],
  flistxattr: [196, 13],
  removexattr: [197, 14],
  lremovexattr: [198, 15],
  fremovexattr: [199, 16],
  flock: [73, 32],
  name_to_handle_at: [303, 264],
  open_by_handle_at: [304, 265],
  geteuid: [107, 175],
  getegid: [108, 177],
  setresuid: [117, 147],
  setresgid: [119, 149],
  setgroups: [116, 159],
  capget: [125, 90],
  capset: [126, 91],
  umask: [95, 166],
  unshare: [272, 97],
  fanotify_init: [300, 262],
  fanotify_mark: [301, 263],
  gettid: [186, 178],
  nanosleep: [35, 101],
  ioctl: [16, 29],
  mount: [165, 40],
  umount2: [166, 39],
  pivot_root: [155, 41],
  open_tree: [428, 428],
  mount_setattr: [442, 442],
  chdir: [80, 49],
  chroot: [161, 51],
  prctl: [157, 167],
  seccomp: [317, 277],
  landlock_create_ruleset: [444, 444],
  landlock_add_rule: [445, 445],
  landlock_restrict_self: [446, 446],
  wait4: [61, 260],
} as const;

export type SyscallName = keyof typeof NUMBERS;

/** The numbers of one architecture; undefined where Oriel has no table for it. */
export function syscallNumbers(arch: string): Readonly<Record<SyscallName, number>> | undefined {
  const column = arch === 'x64' ? 0 : arch === 'arm64' ? 1 : -1;
  if (column < 0) {
    return undefined;
  }
  const table: Record<string, number> = {};
  for (const [name, numbers] of Object.entries(NUMBERS)) {
    table[name] = numbers[column as 0 | 1];
  }
  return Object.freeze(table) as Readonly<Record<SyscallName, number>>;
}

/** The numbers of this host: what `Offload.submit` takes. Every one is -1 (ENOSYS) on an architecture without a table. */
export const SYS: Readonly<Record<SyscallName, number>> =
  syscallNumbers(process.arch) ??
  (Object.freeze(Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, -1]))) as Record<SyscallName, number>);
