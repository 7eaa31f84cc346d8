/**
 * Linux system calls for virtio devices: files, memory, sockets with descriptors on them, an event loop.
 * @packageDocumentation
 */
export * from './constants/credential.ts';
export * from './constants/errno.ts';
export * from './constants/event.ts';
export * from './constants/fanotify.ts';
export * from './constants/fcntl.ts';
export * from './constants/file.ts';
export * from './constants/kvm.ts';
export * from './constants/memory.ts';
export * from './constants/sandbox.ts';
export * from './constants/socket.ts';
export { errnoName, errnoNumber } from './errno-name.ts';
export type {
  EventLoop,
  HelperThreads,
  JobRights,
  LoopOptions,
  LoopTimer,
  Offload,
  Watch,
  WatchHandler,
} from './event-loop.ts';
export {
  type FileGuard,
  type FileTruncation,
  openTruncationWatch,
  type TruncationWatch,
  truncationWatchErrno,
  type WatchedFile,
  type WatchOwner,
} from './fanotify/truncation-watch.ts';
export { FanotifyEvent, FanotifyRange, FanotifyResponse } from './fanotify-layouts.ts';
export { Fd } from './fd.ts';
export { mappedBytesBehind, nameAtAddress, nameInMaps } from './file-mappings.ts';
export { SYS, type SyscallName, syscallNumbers } from './koffi/numbers.ts';
export { openSys } from './koffi/open.ts';
export {
  KvmMemoryFault,
  KvmRegs,
  KvmRun,
  KvmSegment,
  KvmSregs,
  KvmUserspaceMemoryRegion,
  KvmVcpuEvents,
} from './kvm-layouts.ts';
export {
  FileHandle,
  FileLock,
  Iovec,
  LandlockPathBeneathAttr,
  LandlockRulesetAttr,
  LinuxDirent64,
  OpenHow,
  SeccompData,
  SockFilter,
  SockFprog,
  Statfs,
  Statx,
  Timespec,
} from './layouts.ts';
export { escapeBytes, type Logger, type LogWriter, silentLogger } from './log.ts';
export { BlockingLoop } from './loop/blocking-loop.ts';
export type { LoopSys } from './loop/loop-core.ts';
export { NodeLoop } from './loop/node-loop.ts';
export { type OffloadOptions, openOffload } from './loop/offload.ts';
export { Mapping } from './mapping.ts';
export { type FilterRule, seccompFilter } from './seccomp-filter.ts';
export type {
  Address,
  Pointer,
  RecvResult,
  Sys,
  SysCred,
  SysDrm,
  SysFanotify,
  SysFd,
  SysFile,
  SysKvm,
  SysLoop,
  SysMem,
  SysSandbox,
  SysSocket,
} from './sys.ts';
export { check, SysError } from './sys-error.ts';
export { isId, ThreadRights } from './thread-rights.ts';
