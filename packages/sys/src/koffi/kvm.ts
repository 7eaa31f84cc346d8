/** The KVM slice: the ioctls of /dev/kvm that a virtual machine of one vCPU needs. */
import { AT_FDCWD, O_CLOEXEC, O_RDWR } from '../constants/file.ts';
import { KvmUserspaceMemoryRegion } from '../kvm-layouts.ts';
import type { SysKvm } from '../sys.ts';
import { errno, rawCall } from './library.ts';
import { SYS } from './numbers.ts';
import type { Scratch } from './scratch.ts';

/** linux/kvm.h */
const KVM_GET_API_VERSION = 0xae00;
const KVM_CREATE_VM = 0xae01;
const KVM_CHECK_EXTENSION = 0xae03;
const KVM_GET_VCPU_MMAP_SIZE = 0xae04;
const KVM_CREATE_VCPU = 0xae41;
const KVM_SET_USER_MEMORY_REGION = 0x4020_ae46;
const KVM_SET_TSS_ADDR = 0xae47;
const KVM_RUN = 0xae80;
const KVM_GET_REGS = 0x8090_ae81;
const KVM_SET_REGS = 0x4090_ae82;
const KVM_GET_SREGS = 0x8138_ae83;
const KVM_SET_SREGS = 0x4138_ae84;
const KVM_GET_VCPU_EVENTS = 0x8040_ae9f;
const KVM_SET_VCPU_EVENTS = 0x4040_aea0;

/** @param scratch - memory for `struct kvm_userspace_memory_region` */
export function openKvm(scratch: Scratch): SysKvm {
  const { ioctl, openat } = SYS;
  const iii = rawCall('iii');
  const iip = rawCall('iip');
  const ipii = rawCall('ipii');
  const view = scratch.view;
  const region = scratch.take(KvmUserspaceMemoryRegion.byteLength);
  const path = new TextEncoder().encode('/dev/kvm\0');
  const byNumber = (fd: number, request: number, argument: number): number => {
    const result = iii(ioctl, fd, request, argument);
    return result === -1 ? -errno() : result;
  };
  const byPointer = (fd: number, request: number, argument: number | ArrayBufferView): number => {
    const result = iip(ioctl, fd, request, argument);
    return result === -1 ? -errno() : result;
  };

  return {
    open() {
      const result = ipii(openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
      return result === -1 ? -errno() : result;
    },
    apiVersion: (kvm) => byNumber(kvm, KVM_GET_API_VERSION, 0),
    checkExtension: (fd, capability) => byNumber(fd, KVM_CHECK_EXTENSION, capability),
    vcpuMmapSize: (kvm) => byNumber(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
    createVm: (kvm) => byNumber(kvm, KVM_CREATE_VM, 0),
    createVcpu: (vm, id) => byNumber(vm, KVM_CREATE_VCPU, id),
    setTssAddr: (vm, gpa) => byNumber(vm, KVM_SET_TSS_ADDR, gpa),
    setMemoryRegion(vm, slot, flags, gpa, size, addr) {
      KvmUserspaceMemoryRegion.slot.set(view, region.base, slot);
      KvmUserspaceMemoryRegion.flags.set(view, region.base, flags);
      KvmUserspaceMemoryRegion.guestPhysAddr.set(view, region.base, gpa);
      KvmUserspaceMemoryRegion.memorySize.set(view, region.base, size);
      KvmUserspaceMemoryRegion.userspaceAddr.set(view, region.base, addr);
      return byNumber(vm, KVM_SET_USER_MEMORY_REGION, region.addr);
    },
    run: (vcpu) => byNumber(vcpu, KVM_RUN, 0),
    getRegs: (vcpu, regs) => byPointer(vcpu, KVM_GET_REGS, regs),
    setRegs: (vcpu, regs) => byPointer(vcpu, KVM_SET_REGS, regs),
    getSregs: (vcpu, sregs) => byPointer(vcpu, KVM_GET_SREGS, sregs),
    setSregs: (vcpu, sregs) => byPointer(vcpu, KVM_SET_SREGS, sregs),
    getVcpuEvents: (vcpu, events) => byPointer(vcpu, KVM_GET_VCPU_EVENTS, events),
    setVcpuEvents: (vcpu, events) => byPointer(vcpu, KVM_SET_VCPU_EVENTS, events),
  };
}
