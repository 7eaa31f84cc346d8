/** One vCPU. */
import {
  check,
  Fd,
  KvmMemoryFault,
  KvmRegs,
  KvmRun,
  KvmSregs,
  KvmVcpuEvents,
  Mapping,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';

/** What the guest finds when it begins. */
export interface GuestRegisters {
  readonly rip: number;
  readonly rax: number;
  readonly rbx: number;
  readonly rcx?: number;
  readonly rsi?: number;
  readonly rdi?: number;
  readonly rsp: number;
}

const RFLAGS_FIXED = 0x2;
/** Where the memory_fault side of the union begins. */
const UNION = KvmRun.mmioPhysAddr.offset;

export class Vcpu implements Disposable {
  readonly #sys: Pick<Sys, 'kvm' | 'fd' | 'mem'>;
  readonly #fd: Fd;
  readonly #run: Mapping;
  readonly #view: DataView;
  readonly #regs = new DataView(new ArrayBuffer(KvmRegs.byteLength));
  readonly #sregs = new DataView(new ArrayBuffer(KvmSregs.byteLength));
  readonly #events = new DataView(new ArrayBuffer(KvmVcpuEvents.byteLength));

  /** @throws SysError */
  constructor(sys: Pick<Sys, 'kvm' | 'fd' | 'mem'>, kvm: number, vm: number, enter: (sregs: DataView) => void) {
    this.#sys = sys;
    using stack = new DisposableStack();
    this.#fd = stack.use(new Fd(sys.fd, check(sys.kvm.createVcpu(vm, 0), 'KVM_CREATE_VCPU')));
    const len = check(sys.kvm.vcpuMmapSize(kvm), 'KVM_GET_VCPU_MMAP_SIZE');
    this.#run = stack.use(Mapping.shared(sys.mem, this.#fd.fd, len, 0, PROT_READ | PROT_WRITE));
    this.#view = new DataView(this.#run.u8.buffer, this.#run.u8.byteOffset, len);
    check(sys.kvm.getSregs(this.#fd.fd, this.#sregs), 'KVM_GET_SREGS');
    enter(this.#sregs);
    check(sys.kvm.setSregs(this.#fd.fd, this.#sregs), 'KVM_SET_SREGS');
    stack.move();
  }

  /** Starts over with these registers, in the mode it was made in. */
  set(registers: GuestRegisters): void {
    check(this.#sys.kvm.setSregs(this.#fd.fd, this.#sregs), 'KVM_SET_SREGS');
    new Uint8Array(this.#regs.buffer).fill(0);
    KvmRegs.rip.set(this.#regs, 0, registers.rip);
    KvmRegs.rax.set(this.#regs, 0, registers.rax);
    KvmRegs.rbx.set(this.#regs, 0, registers.rbx);
    KvmRegs.rcx.set(this.#regs, 0, registers.rcx ?? 0);
    KvmRegs.rsi.set(this.#regs, 0, registers.rsi ?? 0);
    KvmRegs.rdi.set(this.#regs, 0, registers.rdi ?? 0);
    KvmRegs.rsp.set(this.#regs, 0, registers.rsp);
    KvmRegs.rflags.set(this.#regs, 0, RFLAGS_FIXED);
    check(this.#sys.kvm.setRegs(this.#fd.fd, this.#regs), 'KVM_SET_REGS');
  }

  /** EAX and EDX now. */
  get(): { readonly eax: number; readonly edx: number } {
    check(this.#sys.kvm.getRegs(this.#fd.fd, this.#regs), 'KVM_GET_REGS');
    return { eax: KvmRegs.rax.lo(this.#regs, 0), edx: KvmRegs.rdx.lo(this.#regs, 0) };
  }

  /** KVM_RUN. @returns 0 or a negative errno */
  run(): number {
    return this.#sys.kvm.run(this.#fd.fd);
  }

  get exitReason(): number {
    return KvmRun.exitReason.get(this.#view, 0);
  }

  /** Of an MMIO exit. `data` is shared with KVM: a load is answered by filling it. */
  get mmio(): { readonly gpa: number; readonly write: boolean; readonly data: Uint8Array } {
    const view = this.#view;
    const len = KvmRun.mmioLen.get(view, 0);
    return {
      gpa: KvmRun.mmioPhysAddr.get(view, 0),
      write: KvmRun.mmioIsWrite.get(view, 0) !== 0,
      data: this.#run.u8.subarray(KvmRun.mmioData.offset, KvmRun.mmioData.offset + len),
    };
  }

  /** Where the guest faulted, of a memory-fault exit. */
  get faultGpa(): number {
    return KvmMemoryFault.gpa.get(this.#view, UNION);
  }

  /** Ends an MMIO exit without going on: KVM finishes the instruction and comes back at once. */
  finishInstruction(): void {
    KvmRun.immediateExit.set(this.#view, 0, 1);
    this.run();
    KvmRun.immediateExit.set(this.#view, 0, 0);
  }

  /** The guest gets an exception in place of its next instruction. */
  inject(vector: number, hasErrorCode: boolean): void {
    const { kvm } = this.#sys;
    check(kvm.getVcpuEvents(this.#fd.fd, this.#events), 'KVM_GET_VCPU_EVENTS');
    KvmVcpuEvents.exceptionInjected.set(this.#events, 0, 1);
    KvmVcpuEvents.exceptionNr.set(this.#events, 0, vector);
    KvmVcpuEvents.exceptionHasErrorCode.set(this.#events, 0, hasErrorCode ? 1 : 0);
    KvmVcpuEvents.exceptionErrorCode.set(this.#events, 0, 0);
    check(kvm.setVcpuEvents(this.#fd.fd, this.#events), 'KVM_SET_VCPU_EVENTS');
  }

  [Symbol.dispose](): void {
    this.#run[Symbol.dispose]();
    this.#fd.close();
  }
}
