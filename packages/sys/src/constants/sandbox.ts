/** Giving rights up: mount(2), prctl(2), seccomp(2), BPF and Landlock. C names and values. */

// mount, umount2
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_MOVE = 8192;
export const MS_REC = 16384;
export const MS_PRIVATE = 1 << 18;
export const MNT_DETACH = 2;

// open_tree (linux/mount.h, linux/fcntl.h)
export const OPEN_TREE_CLONE = 1;
// mount_setattr
export const MOUNT_ATTR_NOSUID = 0x2;
export const MOUNT_ATTR_NODEV = 0x4;
export const AT_RECURSIVE = 0x8000;

// prctl (linux/prctl.h)
export const PR_SET_NAME = 15;
export const PR_GET_NAME = 16;
export const PR_CAPBSET_DROP = 24;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_SET_VMA = 0x53564d41;

// seccomp (linux/seccomp.h)
export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_FILTER_FLAG_TSYNC = 1;
export const SECCOMP_RET_KILL_PROCESS = 0x80000000;
export const SECCOMP_RET_TRAP = 0x30000;
export const SECCOMP_RET_ERRNO = 0x50000;
export const SECCOMP_RET_LOG = 0x7ffc0000;
export const SECCOMP_RET_ALLOW = 0x7fff0000;

// Architectures of a call (linux/audit.h)
export const AUDIT_ARCH_X86_64 = 0xc000003e;
export const AUDIT_ARCH_AARCH64 = 0xc00000b7;

// Classic BPF (linux/bpf_common.h)
export const BPF_LD = 0;
export const BPF_ALU = 4;
export const BPF_JMP = 5;
export const BPF_RET = 6;
export const BPF_W = 0;
export const BPF_ABS = 0x20;
export const BPF_K = 0;
export const BPF_AND = 0x50;
export const BPF_JEQ = 0x10;
export const BPF_JGE = 0x30;

// Landlock (linux/landlock.h)
export const LANDLOCK_CREATE_RULESET_VERSION = 1;
export const LANDLOCK_ACCESS_FS_EXECUTE = 1;
export const LANDLOCK_ACCESS_FS_MAKE_SYM = 1 << 12;
export const LANDLOCK_ACCESS_FS_REFER = 1 << 13;
export const LANDLOCK_ACCESS_FS_TRUNCATE = 1 << 14;
export const LANDLOCK_ACCESS_FS_IOCTL_DEV = 1 << 15;
export const LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET = 1;
export const LANDLOCK_SCOPE_SIGNAL = 2;
