/** KVM: linux/kvm.h. C names and values. */

// KVM_CHECK_EXTENSION
export const KVM_CAP_READONLY_MEM = 81;
export const KVM_CAP_MEMORY_FAULT_INFO = 232;

// Flags of a memory slot
export const KVM_MEM_READONLY = 0x2;

// Exits of KVM_RUN
export const KVM_EXIT_HLT = 5;
export const KVM_EXIT_MMIO = 6;
export const KVM_EXIT_SHUTDOWN = 8;
export const KVM_EXIT_INTERNAL_ERROR = 17;
export const KVM_EXIT_MEMORY_FAULT = 39;

export const KVM_API_VERSION = 12;
