/**
 * KVM as hardware runs it, on a host that emulates guests: an access that this host turns into an MMIO exit inside a
 * writable memory slot becomes -EFAULT of KVM_RUN, with the guest where it was before.
 */
import {
  EFAULT,
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  KVM_MEM_READONLY,
  KvmMemoryFault,
  KvmRegs,
  KvmRun,
  Mapping,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { Scene } from '../scene.ts';
import { MicroVm } from './micro-vm.ts';

interface Slot {
  readonly flags: number;
  readonly gpa: number;
  readonly size: number;
}

const MEMORY_FAULT = KvmRun.mmioPhysAddr.offset;
const KVM_EXIT_UNKNOWN = 0;

/** @param where - whether KVM tells the address, as it does for guest_memfd, or says no more than -EFAULT */
export function efaultSys(real: Sys, where: 'known' | 'unknown'): Sys {
  const slots = new Map<number, Slot>();
  const regs = new Uint8Array(KvmRegs.byteLength);

  const writableSlotAt = (gpa: number): boolean =>
    [...slots.values()].some(
      (slot) => gpa >= slot.gpa && gpa < slot.gpa + slot.size && (slot.flags & KVM_MEM_READONLY) === 0,
    );

  return mockSys(
    {
      kvm: {
        setMemoryRegion(vm, number, flags, gpa, size, addr) {
          slots.set(number, { flags, gpa, size });
          return real.kvm.setMemoryRegion(vm, number, flags, gpa, size, addr);
        },
        run(vcpu) {
          using shared = Mapping.shared(real.mem, vcpu, real.mem.pageSize, 0, PROT_READ | PROT_WRITE);
          const view = new DataView(shared.u8.buffer, shared.u8.byteOffset, shared.len);
          real.kvm.getRegs(vcpu, regs);
          const result = real.kvm.run(vcpu);
          const gpa = KvmRun.mmioPhysAddr.get(view, 0);
          if (result !== 0 || KvmRun.exitReason.get(view, 0) !== KVM_EXIT_MMIO || !writableSlotAt(gpa)) {
            return result;
          }
          KvmRun.immediateExit.set(view, 0, 1);
          real.kvm.run(vcpu);
          KvmRun.immediateExit.set(view, 0, 0);
          real.kvm.setRegs(vcpu, regs);
          KvmRun.exitReason.set(view, 0, where === 'known' ? KVM_EXIT_MEMORY_FAULT : KVM_EXIT_UNKNOWN);
          KvmMemoryFault.gpa.set(view, MEMORY_FAULT, gpa - (gpa % real.mem.pageSize));
          return -EFAULT;
        },
      },
    },
    real,
  );
}

/** Whether this host's KVM emulates a guest in real mode; one that runs it gives -EFAULT by itself. */
export function emulatesRealMode(sys: Sys): boolean {
  using scene = new Scene(sys, { policy: 'fault' });
  using vm = new MicroVm({ sys, window: scene.window, mode: 'real' });
  return vm.load(scene.offset('unmapped')).exits.some(({ kind }) => kind === 'mmio');
}
