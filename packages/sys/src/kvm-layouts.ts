/** Structures of KVM on x86_64, as linux/kvm.h and asm/kvm.h give them. */
import { array, bytes, pad, struct, U8, U16, U32, U64 } from '@oriel/layout';

/** `struct kvm_userspace_memory_region`, 32 bytes. */
export const KvmUserspaceMemoryRegion = struct('kvm_userspace_memory_region', {
  slot: U32,
  flags: U32,
  guestPhysAddr: U64,
  memorySize: U64,
  userspaceAddr: U64,
});

/**
 * Head of `struct kvm_run`, the memory shared with a vCPU, up to the end of what an MMIO exit fills in. The fields from
 * `mmioPhysAddr` on are one side of a union: see `KvmMemoryFault` for another.
 */
export const KvmRun = struct('kvm_run', {
  requestInterruptWindow: U8,
  immediateExit: U8,
  padding1: bytes(6),
  exitReason: U32,
  readyForInterruptInjection: U8,
  ifFlag: U8,
  flags: U16,
  cr8: U64,
  apicBase: U64,
  mmioPhysAddr: U64,
  mmioData: bytes(8),
  mmioLen: U32,
  mmioIsWrite: U8,
});

/** `kvm_run.memory_fault`, which comes with -EFAULT where KVM_CAP_MEMORY_FAULT_INFO is there; it begins at `mmioPhysAddr`. */
export const KvmMemoryFault = struct('kvm_run_memory_fault', { flags: U64, gpa: U64, size: U64 });

/** `struct kvm_regs`, 144 bytes. */
export const KvmRegs = struct('kvm_regs', {
  rax: U64,
  rbx: U64,
  rcx: U64,
  rdx: U64,
  rsi: U64,
  rdi: U64,
  rsp: U64,
  rbp: U64,
  r8: U64,
  r9: U64,
  r10: U64,
  r11: U64,
  r12: U64,
  r13: U64,
  r14: U64,
  r15: U64,
  rip: U64,
  rflags: U64,
});

/** `struct kvm_segment`, 24 bytes. */
export const KvmSegment = struct('kvm_segment', {
  base: U64,
  limit: U32,
  selector: U16,
  type: U8,
  present: U8,
  dpl: U8,
  db: U8,
  s: U8,
  l: U8,
  g: U8,
  avl: U8,
  unusable: U8,
  padding: U8,
});

/** `struct kvm_sregs`, 312 bytes; a segment is a `KvmSegment`. */
export const KvmSregs = struct('kvm_sregs', {
  cs: bytes(24, 8),
  ds: bytes(24, 8),
  es: bytes(24, 8),
  fs: bytes(24, 8),
  gs: bytes(24, 8),
  ss: bytes(24, 8),
  tr: bytes(24, 8),
  ldt: bytes(24, 8),
  gdt: bytes(16, 8),
  idt: bytes(16, 8),
  cr0: U64,
  cr2: U64,
  cr3: U64,
  cr4: U64,
  cr8: U64,
  efer: U64,
  apicBase: U64,
  interruptBitmap: array(U64, 4),
});

/** `struct kvm_vcpu_events`, 64 bytes; the exception first. */
export const KvmVcpuEvents = struct('kvm_vcpu_events', {
  exceptionInjected: U8,
  exceptionNr: U8,
  exceptionHasErrorCode: U8,
  exceptionPending: U8,
  exceptionErrorCode: U32,
  pad0: pad(56),
});
