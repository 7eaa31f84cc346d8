import { expect } from 'chai';
import {
  check,
  EACCES,
  EBADF,
  EFAULT,
  Fd,
  KVM_API_VERSION,
  KVM_EXIT_HLT,
  KVM_EXIT_MMIO,
  KvmRegs,
  KvmRun,
  KvmSegment,
  KvmSregs,
  KvmVcpuEvents,
  Mapping,
  openSys,
  PROT_READ,
  PROT_WRITE,
} from '../src/index.ts';
import { mockSys } from '../src/testing/index.ts';
import { checkLeaks } from './leaks.ts';

const sys = openSys();
const { kvm } = sys;

/** A vCPU in real mode with 4 KiB of memory at 0, about to execute `code`. */
function boot(code: readonly number[], stack: DisposableStack) {
  const device = stack.use(new Fd(sys.fd, check(kvm.open(), 'open')));
  const memory = stack.use(Mapping.anonymous(sys.mem, 4096));
  memory.u8.set(code);
  const vm = stack.use(new Fd(sys.fd, check(kvm.createVm(device.fd), 'KVM_CREATE_VM')));
  check(kvm.setTssAddr(vm.fd, 0xfffb_d000), 'KVM_SET_TSS_ADDR');
  check(kvm.setMemoryRegion(vm.fd, 0, 0, 0, memory.len, memory.addr), 'KVM_SET_USER_MEMORY_REGION');
  const vcpu = stack.use(new Fd(sys.fd, check(kvm.createVcpu(vm.fd, 0), 'KVM_CREATE_VCPU')));
  const len = check(kvm.vcpuMmapSize(device.fd), 'KVM_GET_VCPU_MMAP_SIZE');
  const shared = stack.use(Mapping.shared(sys.mem, vcpu.fd, len, 0, PROT_READ | PROT_WRITE));
  const sregs = new DataView(new ArrayBuffer(KvmSregs.byteLength));
  check(kvm.getSregs(vcpu.fd, sregs), 'KVM_GET_SREGS');
  KvmSegment.base.set(sregs, KvmSregs.cs.offset, 0);
  KvmSegment.selector.set(sregs, KvmSregs.cs.offset, 0);
  check(kvm.setSregs(vcpu.fd, sregs), 'KVM_SET_SREGS');
  const regs = new DataView(new ArrayBuffer(KvmRegs.byteLength));
  KvmRegs.rflags.set(regs, 0, 2);
  KvmRegs.rbx.set(regs, 0, 40);
  check(kvm.setRegs(vcpu.fd, regs), 'KVM_SET_REGS');
  return { vm, vcpu, regs, run: new DataView(shared.u8.buffer, shared.u8.byteOffset, len) };
}

describe('SysKvm', () => {
  checkLeaks();

  it('answers with errnos', () => {
    expect(kvm.apiVersion(-1)).to.equal(-EBADF);
    expect(kvm.createVm(-1)).to.equal(-EBADF);
    expect(kvm.run(-1)).to.equal(-EBADF);
    const mock = mockSys();
    mock.failNext('kvm.open', EACCES);
    mock.failNext('kvm.run', EFAULT);
    expect(mock.kvm.open()).to.equal(-EACCES);
    expect(mock.kvm.run(-1)).to.equal(-EFAULT);
    expect(mock.kvm.run(-1)).to.equal(-EBADF);
  });

  describe('where /dev/kvm is there', () => {
    before(function () {
      const device = process.arch === 'x64' ? kvm.open() : -1;
      if (device < 0) {
        this.skip();
      }
      sys.fd.close(device);
    });

    it('knows its version', () => {
      using device = new Fd(sys.fd, check(kvm.open(), 'open'));
      expect(kvm.apiVersion(device.fd)).to.equal(KVM_API_VERSION);
      expect(kvm.checkExtension(device.fd, 1_000_000)).to.equal(0);
      expect(kvm.getRegs(device.fd, new Uint8Array(KvmRegs.byteLength))).to.be.below(0);
    });

    it('runs a guest of two instructions', () => {
      using stack = new DisposableStack();
      // ADD BX, 2; HLT
      const { vcpu, regs, run } = boot([0x83, 0xc3, 0x02, 0xf4], stack);
      expect(kvm.run(vcpu.fd)).to.equal(0);
      expect(KvmRun.exitReason.get(run, 0)).to.equal(KVM_EXIT_HLT);
      check(kvm.getRegs(vcpu.fd, regs), 'KVM_GET_REGS');
      expect(KvmRegs.rbx.get(regs, 0)).to.equal(42);
      expect(KvmRegs.rip.get(regs, 0)).to.equal(4);
    });

    it('tells of an access outside memory, and takes a slot away', () => {
      using stack = new DisposableStack();
      // MOV AL, [0x2000]; HLT
      const { vm, vcpu, run } = boot([0xa0, 0x00, 0x20, 0xf4], stack);
      expect(kvm.run(vcpu.fd)).to.equal(0);
      expect(KvmRun.exitReason.get(run, 0)).to.equal(KVM_EXIT_MMIO);
      expect(KvmRun.mmioPhysAddr.get(run, 0)).to.equal(0x2000);
      expect(KvmRun.mmioLen.get(run, 0)).to.equal(1);
      expect(KvmRun.mmioIsWrite.get(run, 0)).to.equal(0);
      expect(kvm.setMemoryRegion(vm.fd, 0, 0, 0, 0, 0)).to.equal(0);
    });

    it('keeps an exception that waits for the guest', () => {
      using stack = new DisposableStack();
      const { vcpu } = boot([0xf4], stack);
      const events = new DataView(new ArrayBuffer(KvmVcpuEvents.byteLength));
      check(kvm.getVcpuEvents(vcpu.fd, events), 'KVM_GET_VCPU_EVENTS');
      KvmVcpuEvents.exceptionInjected.set(events, 0, 1);
      KvmVcpuEvents.exceptionNr.set(events, 0, 13);
      check(kvm.setVcpuEvents(vcpu.fd, events), 'KVM_SET_VCPU_EVENTS');
      const after = new DataView(new ArrayBuffer(KvmVcpuEvents.byteLength));
      check(kvm.getVcpuEvents(vcpu.fd, after), 'KVM_GET_VCPU_EVENTS');
      expect(KvmVcpuEvents.exceptionInjected.get(after, 0)).to.equal(1);
      expect(KvmVcpuEvents.exceptionNr.get(after, 0)).to.equal(13);
    });
  });
});
