/**
 * The system calls that Oriel uses, cut into slices; a package asks for the slices it needs. Every call returns the
 * kernel's result, or a negative errno: expected outcomes such as EAGAIN are plain values, and only the caller who gives
 * up makes a `SysError`.
 */

/** An address in this process, bytes; a safe integer (user space ends below 2^47). */
export type Address = number;

/** Memory lent to one call: an address, or a view whose memory is used for the time of the call. */
export type Pointer = Address | ArrayBufferView;

/** Memory: mappings, memfds, views. */
export interface SysMem {
  /** Bytes in a page of this host. */
  readonly pageSize: number;
  /** mmap(2). `addr` 0 lets the kernel choose. @returns the address, or a negative errno */
  mmap(addr: Address, len: number, prot: number, flags: number, fd: number, offset: number): Address;
  munmap(addr: Address, len: number): number;
  madvise(addr: Address, len: number, advice: number): number;
  memfdCreate(name: string, flags: number): number;
  addSeals(fd: number, seals: number): number;
  /** @returns the F_SEAL_* bits; -EINVAL where the file cannot have seals (and so may be truncated) */
  getSeals(fd: number): number;
  /** The memory at `addr` as an ArrayBuffer, not copied. Only over memory that cannot shrink. @throws SysError for address 0 */
  view(addr: Address, len: number): ArrayBuffer;
  /** Detaches a buffer made by `view`: every typed array over it then has length 0. Call it before munmap. */
  detach(buffer: ArrayBuffer): void;
  /** Copies within this process by address with a system call: a bad or truncated source or target is -EFAULT, never a
   * signal. @returns bytes copied, or a negative errno */
  copyChecked(to: Address, from: Address, len: number): number;
}

/** Descriptors of any kind. */
export interface SysFd {
  close(fd: number): number;
  /** dup with FD_CLOEXEC set. */
  dup(fd: number): number;
  setNonBlocking(fd: number, on: boolean): number;
  setCloexec(fd: number, on: boolean): number;
  /** A pipe, both ends blocking and CLOEXEC: `out[0]` to read, `out[1]` to write. @returns 0 or a negative errno */
  pipe(out: Int32Array): number;
  /** read(2) and write(2) to memory by address or view. */
  read(fd: number, to: Pointer, len: number): number;
  write(fd: number, from: Pointer, len: number): number;
  pread(fd: number, to: Pointer, len: number, offset: number): number;
  pwrite(fd: number, from: Pointer, len: number, offset: number): number;
  /** fcntl(2) with an integer argument. */
  fcntl(fd: number, cmd: number, arg: number): number;
  /** Sets how many descriptors the process may have open (RLIMIT_NOFILE, soft and hard). @returns 0, -EPERM, -EINVAL */
  setDescriptorLimit(count: number): number;
}

/** What `recvmsg` fills in; reused from call to call. */
export interface RecvResult {
  /** The descriptors that came, CLOEXEC set; the first `fdCount` count. They belong to the caller, who must close them. */
  readonly fds: Int32Array;
  fdCount: number;
  /** MSG_CTRUNC: descriptors were lost. */
  truncated: boolean;
}

/** Unix stream sockets with descriptors on them. */
export interface SysSocket {
  /** A connected pair of non-blocking CLOEXEC stream sockets in `out[0..1]`. @returns 0 or a negative errno */
  socketpair(out: Int32Array): number;
  /**
   * Makes a listening non-blocking socket at `path`, whose mode (and group, when not -1) is set before it listens.
   * An old socket file on which nobody listens is replaced. @returns fd, -EADDRINUSE, -ENAMETOOLONG, ...
   */
  listenUnix(path: string, mode: number, gid: number, backlog: number): number;
  /** Connects; the socket is then non-blocking. */
  connectUnix(path: string): number;
  /** A non-blocking datagram socket bound at `path`, a new file with `mode`. @returns fd, -EADDRINUSE, ... */
  bindDatagram(path: string, mode: number): number;
  /** A non-blocking datagram socket that sends to the one at `path`; with a leading `@`: in the abstract namespace. */
  connectDatagram(path: string): number;
  /** accept4 with NONBLOCK and CLOEXEC. */
  accept(fd: number): number;
  /** One sendmsg with MSG_NOSIGNAL; never waits (-EAGAIN). Descriptors are lent. @returns bytes sent or a negative errno */
  sendmsg(fd: number, from: Pointer, len: number, fds: Int32Array | null, fdCount: number): number;
  /** One recvmsg with MSG_CMSG_CLOEXEC; never waits (-EAGAIN). @returns bytes, 0 at the end of the stream, or a negative errno */
  recvmsg(fd: number, to: Pointer, len: number, result: RecvResult): number;
  makeRecvResult(maxFds: number): RecvResult;
  shutdown(fd: number, how: number): number;
  /** SO_ACCEPTCONN: 1 for a listening socket, 0 for a connected one, -ENOTSOCK. */
  isListening(fd: number): number;
  /** SO_PEERCRED: the process that connected (or made the pair); 0 when it is in another pid namespace. */
  peerPid(fd: number): number;
}

/** epoll, eventfd and clocks: what an event loop is made of. */
export interface SysLoop {
  epollCreate(): number;
  epollCtl(epfd: number, op: number, fd: number, events: number, token: number): number;
  /** Waits at most `timeoutMs` (-1: for ever). Fills `events[i]` and `tokens[i]`. @returns how many, or -EINTR */
  epollWait(epfd: number, timeoutMs: number, events: Uint32Array, tokens: Float64Array): number;
  /** A non-blocking CLOEXEC eventfd. */
  eventfd(initial: number): number;
  /** Adds 1. @returns 0 or a negative errno */
  eventfdSignal(fd: number): number;
  /** Takes the count away. @returns the count (as a number), or -EAGAIN */
  eventfdDrain(fd: number): number;
  /** CLOCK_MONOTONIC in ns, as a double. */
  nowNs(): number;
}

/** Files, by descriptors relative to a directory. Paths are NUL-terminated bytes. */
export interface SysFile {
  openat(dirfd: number, path: Pointer, flags: number, mode: number): number;
  openat2(dirfd: number, path: Pointer, flags: number, mode: number, resolve: number): number;
  /** Fills `buf` (a `struct statx`, 256 bytes; see `Statx`). */
  statx(dirfd: number, path: Pointer, flags: number, mask: number, buf: Pointer): number;
  /** iov: address of `count` struct iovec. `offset` is a safe integer; `flags` are RWF_*. */
  preadv2(fd: number, iov: Pointer, count: number, offset: number, flags: number): number;
  pwritev2(fd: number, iov: Pointer, count: number, offset: number, flags: number): number;
  getdents64(fd: number, buf: Pointer, len: number): number;
  /** @returns the new offset; a BigInt where it exceeds 2^53 - 1 (directory cookies); negative errno */
  lseek(fd: number, offset: number | bigint, whence: number): number | bigint;
  readlinkat(dirfd: number, path: Pointer, buf: Pointer, len: number): number;
  unlinkat(dirfd: number, path: Pointer, flags: number): number;
  mkdirat(dirfd: number, path: Pointer, mode: number): number;
  mknodat(dirfd: number, path: Pointer, mode: number, rdev: number): number;
  symlinkat(target: Pointer, dirfd: number, path: Pointer): number;
  linkat(olddirfd: number, oldpath: Pointer, newdirfd: number, newpath: Pointer, flags: number): number;
  renameat2(olddirfd: number, oldpath: Pointer, newdirfd: number, newpath: Pointer, flags: number): number;
  fchmod(fd: number, mode: number): number;
  fchmodat(dirfd: number, path: Pointer, mode: number): number;
  fchownat(dirfd: number, path: Pointer, uid: number, gid: number, flags: number): number;
  /** times: address of two struct timespec. */
  utimensat(dirfd: number, path: Pointer | 0, times: Pointer, flags: number): number;
  ftruncate(fd: number, len: number): number;
  fallocate(fd: number, mode: number, offset: number, len: number): number;
  fsync(fd: number): number;
  fdatasync(fd: number): number;
  syncfs(fd: number): number;
  /** Fills `buf` (a `struct statfs`, 120 bytes; see `Statfs`). */
  fstatfs(fd: number, buf: Pointer): number;
  copyFileRange(fdIn: number, offIn: number, fdOut: number, offOut: number, len: number): number;
  /** xattr calls on paths (use /proc/self/fd/N) and on descriptors. */
  setxattr(path: Pointer, name: Pointer, value: Pointer, size: number, flags: number): number;
  getxattr(path: Pointer, name: Pointer, value: Pointer, size: number): number;
  listxattr(path: Pointer, list: Pointer, size: number): number;
  removexattr(path: Pointer, name: Pointer): number;
  flock(fd: number, operation: number): number;
  /** ioctl(2) with a structure. @param request - a whole request number: direction, size, type, number */
  ioctl(fd: number, request: number, argument: Pointer): number;
  /** fcntl(2) with a lock: F_OFD_GETLK, F_OFD_SETLK. @param lock - a `struct flock`; see `FileLock` */
  fcntlLock(fd: number, cmd: number, lock: Pointer): number;
  /**
   * Fills `handle` (a `struct file_handle`; see `FileHandle`), whose `handleBytes` says how much room there is, and
   * `mountId` (an i32). `path` is as statx takes it: AT_EMPTY_PATH for `dirfd` itself, O_PATH too.
   * @returns 0; -EOVERFLOW when the handle is longer than the room, -EOPNOTSUPP where the file system has none
   */
  nameToHandleAt(dirfd: number, path: Pointer, handle: Pointer, mountId: Pointer, flags: number): number;
  /**
   * Opens the file of a handle; needs CAP_DAC_READ_SEARCH.
   * @param mountFd - any file on the mount, not O_PATH
   * @returns a descriptor; -ESTALE when the file is gone
   */
  openByHandleAt(mountFd: number, handle: Pointer, flags: number): number;
}

/** Credentials of the calling thread (raw system calls: the C library would change every thread). */
export interface SysCred {
  geteuid(): number;
  getegid(): number;
  /** Effective ids of this thread only; -1 leaves one as it is. */
  setresuid(ruid: number, euid: number, suid: number): number;
  setresgid(rgid: number, egid: number, sgid: number): number;
  setgroups(groups: Uint32Array): number;
  /** Effective capability set of this thread as two u32 (lo, hi). */
  capgetEffective(out: Uint32Array): number;
  capsetEffective(lo: number, hi: number): number;
  umask(mask: number): number;
  /** unshare(2), for CLONE_FS in a worker. */
  unshare(flags: number): number;
}

/**
 * KVM on x86_64: one virtual machine of one vCPU. Structures are lent memory with the layouts `KvmRegs`, `KvmSregs`,
 * `KvmVcpuEvents`; what a vCPU shares with its owner is `KvmRun`, mapped from the vCPU's descriptor.
 */
export interface SysKvm {
  /** Opens /dev/kvm. @returns fd, -ENOENT, -EACCES, ... */
  open(): number;
  /** 12 since Linux 2.6.22. */
  apiVersion(kvm: number): number;
  /** @param fd - of /dev/kvm or a VM. @returns 0: not there */
  checkExtension(fd: number, capability: number): number;
  /** Bytes to map of a vCPU's descriptor. */
  vcpuMmapSize(kvm: number): number;
  /** @returns fd */
  createVm(kvm: number): number;
  /** @returns fd */
  createVcpu(vm: number, id: number): number;
  /** Three pages of guest addresses that Intel hosts need. */
  setTssAddr(vm: number, gpa: number): number;
  /** Makes, moves or removes (`size` 0) a memory slot. @param flags - KVM_MEM_* */
  setMemoryRegion(vm: number, slot: number, flags: number, gpa: number, size: number, addr: Address): number;
  /** Runs the vCPU until it exits. @returns 0 with the reason in `KvmRun`; -EFAULT (see `KvmMemoryFault`), -EINTR, ... */
  run(vcpu: number): number;
  getRegs(vcpu: number, regs: Pointer): number;
  setRegs(vcpu: number, regs: Pointer): number;
  getSregs(vcpu: number, sregs: Pointer): number;
  setSregs(vcpu: number, sregs: Pointer): number;
  getVcpuEvents(vcpu: number, events: Pointer): number;
  setVcpuEvents(vcpu: number, events: Pointer): number;
}

/** Direct rendering devices (/dev/dri). */
export interface SysDrm {
  /**
   * ioctl(2) with a structure of the driver's, made again while a signal interrupts it, as libdrm does.
   * @param request - a whole request number: direction, size, 'd', command
   * @returns 0 or more, or a negative errno
   */
  ioctl(fd: number, request: number, argument: Pointer): number;
}

/** fanotify(7): being asked before files are opened or cut. */
export interface SysFanotify {
  /** @param eventFlags - O_* of the descriptors in events. @returns fd, -EPERM (it takes CAP_SYS_ADMIN), -EINVAL, -ENOSYS */
  init(flags: number, eventFlags: number): number;
  /** Marks the inode of a descriptor (not O_PATH). @returns 0; -EOPNOTSUPP where the file system lacks an event, -EINVAL the kernel */
  markFd(group: number, flags: number, mask: number, fd: number): number;
  /** The calling thread, as events of a group with FAN_REPORT_TID name it. */
  gettid(): number;
}

/**
 * Giving rights up, for good. Paths are NUL-terminated bytes; 0 stands for NULL. What acts on the calling thread alone says so.
 */
export interface SysSandbox {
  /** @param flags - MS_* */
  mount(source: Pointer, target: Pointer, type: Pointer, flags: number, data: Pointer): number;
  /** @param flags - MNT_* */
  umount2(target: Pointer, flags: number): number;
  /** A copy of the mounts at a path (OPEN_TREE_CLONE, AT_RECURSIVE), attached nowhere. @returns a CLOEXEC descriptor that holds them */
  cloneTree(path: Pointer): number;
  /**
   * mount_setattr(2) of a mount and all below it.
   * @param fd - a descriptor of it, O_PATH too
   * @param set - MOUNT_ATTR_*
   */
  setMountAttributes(fd: number, set: number): number;
  /** Moves every thread of the mount namespace whose root is the old one. */
  pivotRoot(newRoot: Pointer, putOld: Pointer): number;
  chdir(path: Pointer): number;
  chroot(path: Pointer): number;
  /** This thread's, where the option is a thread's. */
  prctl(option: number, arg2: number, arg3: number, arg4: number, arg5: number): number;
  /** This thread's three sets: effective, permitted, inheritable, each as a low and a high word (see `CapData`). */
  setCapabilities(words: Uint32Array): number;
  /**
   * Loads a system call filter; needs CAP_SYS_ADMIN or PR_SET_NO_NEW_PRIVS.
   * @param filter - `SockFilter` after `SockFilter`: see `seccompFilter`
   * @param flags - SECCOMP_FILTER_FLAG_TSYNC: for every thread, not only this one
   * @returns 0, a negative errno, or the id of a thread that has other filters
   */
  loadFilter(filter: Uint8Array, flags: number): number;
  /** @param attr - a `LandlockRulesetAttr` of `size` bytes @returns a descriptor; with 0, 0 and a flag what the kernel can do */
  landlockCreateRuleset(attr: Pointer, size: number, flags: number): number;
  /** Adds a `LandlockPathBeneathAttr`. */
  landlockAddPath(ruleset: number, rule: Pointer): number;
  /** This thread and those it starts. */
  landlockRestrictSelf(ruleset: number, flags: number): number;
  /** wait4(2) for one child: waits until it has ended. @returns its wait status, or a negative errno */
  waitChild(pid: number): number;
}

/** All slices: what the koffi implementation offers. */
export interface Sys {
  readonly mem: SysMem;
  readonly fd: SysFd;
  readonly socket: SysSocket;
  readonly loop: SysLoop;
  readonly file: SysFile;
  readonly cred: SysCred;
  readonly fanotify: SysFanotify;
  readonly sandbox: SysSandbox;
  readonly kvm: SysKvm;
  readonly drm: SysDrm;
}
