/** A virtual machine of one vCPU that loads from a window and stores to it, one access at a time. */
import type { FaultVerdict, Window } from '@oriel/shm-region';
import {
  check,
  EFAULT,
  EINTR,
  errnoName,
  Fd,
  KVM_API_VERSION,
  KVM_CAP_READONLY_MEM,
  KVM_EXIT_HLT,
  KVM_EXIT_INTERNAL_ERROR,
  KVM_EXIT_MEMORY_FAULT,
  KVM_EXIT_MMIO,
  Mapping,
  type Sys,
} from '@oriel/sys';
import { DOORBELL_GPA, EXCEPTION_MARK, type GuestMode, MOST_WORDS, RAM_SIZE, WINDOW_GPA, WORDS } from './guest-mode.ts';
import { realMode } from './real-mode.ts';
import { userMode } from './user-mode.ts';
import { type GuestRegisters, Vcpu } from './vcpu.ts';
import { WindowSlots } from './window-slots.ts';

/** The slices that the machine needs. */
export type MicroSys = Pick<Sys, 'kvm' | 'fd' | 'mem'>;

/** What the machine needs of a window; for a vCPU in another thread than its window's something else may stand in. */
export type GuestWindow = Pick<Window, 'addr' | 'size' | 'guestFault' | 'read' | 'write' | 'entries' | 'gaps'>;

export interface MicroVmOptions {
  readonly sys: MicroSys;
  readonly window: GuestWindow;
  /** Read-only slots for what is not mapped: `discard` with `discardMeans: 'slots'`. */
  readonly readOnlySlots?: 'split' | 'none';
  /** `real`: without page tables. `user` (the default): 64-bit user code, which runs on the processor itself. */
  readonly mode?: GuestMode['name'];
  /** Vector of the exception that `inject` gives; 13 (#GP) by default. */
  readonly exception?: number;
}

/** One exit of KVM_RUN on the way of an access, and what the window said of it. */
export interface GuestExit {
  /** `efault`: -EFAULT, and where is unknown; `memory-fault`: -EFAULT with an address; `mmio`: KVM emulated the access. */
  readonly kind: 'efault' | 'memory-fault' | 'mmio';
  readonly verdict: FaultVerdict;
}

/** What came of one access. */
export interface GuestReport {
  /** `done`: the guest went on; `exception`: it got one; `stopped`: its VMM gave up on it, as QEMU does; `broken`: KVM did. */
  readonly end: 'done' | 'exception' | 'stopped' | 'broken';
  /** EAX at the end: what a load got. */
  readonly value: number;
  /** Vector of the exception, or -1. */
  readonly vector: number;
  /** The instruction to which the exception's handler would return, or -1. */
  readonly faultedAt: number;
  readonly exits: readonly GuestExit[];
}

const TSS_GPA = 0xfffb_d000;
const RAM_SLOT = 0;
const DEFAULT_EXCEPTION = 13;
/** No single access takes more. */
const MOST_EXITS = 8;

/** Why no machine can run here, or null. */
export function kvmMissing(sys: MicroSys): string | null {
  if (process.arch !== 'x64') {
    return `the guest code is for x86-64, and this is ${process.arch}`;
  }
  const kvm = sys.kvm.open();
  if (kvm < 0) {
    return `/dev/kvm: ${errnoName(-kvm)}`;
  }
  using fd = new Fd(sys.fd, kvm);
  const version = sys.kvm.apiVersion(fd.fd);
  if (version !== KVM_API_VERSION) {
    return `KVM API version ${version}`;
  }
  return sys.kvm.checkExtension(fd.fd, KVM_CAP_READONLY_MEM) > 0 ? null : 'KVM has no read-only memory slots';
}

export class MicroVm implements Disposable {
  readonly #window: GuestWindow;
  readonly #exception: number;
  readonly #mode: GuestMode;
  readonly #ram: DataView;
  readonly #vcpu: Vcpu;
  readonly #slots: WindowSlots;
  readonly #stack: DisposableStack;

  /** @throws SysError where KVM refuses */
  constructor({ sys, window, readOnlySlots, mode, exception }: MicroVmOptions) {
    using stack = new DisposableStack();
    const kvm = stack.use(new Fd(sys.fd, check(sys.kvm.open(), 'open')));
    const ram = stack.use(Mapping.anonymous(sys.mem, RAM_SIZE));
    this.#mode = mode === 'real' ? realMode : userMode;
    this.#mode.writeTo(ram.u8);
    this.#ram = new DataView(ram.u8.buffer, ram.u8.byteOffset, ram.len);
    const vm = stack.use(new Fd(sys.fd, check(sys.kvm.createVm(kvm.fd), 'KVM_CREATE_VM')));
    check(sys.kvm.setTssAddr(vm.fd, TSS_GPA), 'KVM_SET_TSS_ADDR');
    check(sys.kvm.setMemoryRegion(vm.fd, RAM_SLOT, 0, 0, RAM_SIZE, ram.addr), 'KVM_SET_USER_MEMORY_REGION');
    this.#window = window;
    this.#exception = exception ?? DEFAULT_EXCEPTION;
    this.#slots = new WindowSlots(
      { kvm: sys.kvm, vm: vm.fd, window, gpa: WINDOW_GPA, firstSlot: RAM_SLOT + 1 },
      readOnlySlots === 'split',
    );
    this.#slots.update();
    this.#vcpu = stack.use(new Vcpu(sys, kvm.fd, vm.fd, this.#mode.enter));
    this.#stack = stack.move();
  }

  /** Where the window begins for the guest. */
  get gpa(): number {
    return WINDOW_GPA;
  }

  /** The window's mappings changed; needed with split slots only. */
  windowChanged(): void {
    this.#slots.update();
  }

  /** The guest loads 4 bytes of the window. @param shmOffset - inside it */
  load(shmOffset: number): GuestReport {
    return this.#access({ ...this.#registers(shmOffset), rip: this.#mode.loadAt }, MOST_EXITS);
  }

  /** The guest stores 4 bytes to the window. */
  store(shmOffset: number, value: number): GuestReport {
    return this.#access({ ...this.#registers(shmOffset), rip: this.#mode.storeAt, rax: value }, MOST_EXITS);
  }

  /** The guest loads `count` words, `stride` bytes apart, in one go. `words` is guest memory: the next sweep changes it. */
  sweep(
    shmOffset: number,
    stride: number,
    count: number,
  ): { readonly report: GuestReport; readonly words: Uint32Array } {
    if (!(count > 0 && count <= MOST_WORDS)) {
      throw new RangeError(`a sweep of ${count} words: at most ${MOST_WORDS}`);
    }
    const where = { ...this.#registers(shmOffset), rip: this.#mode.sweepAt };
    const report = this.#access({ ...where, rcx: count, rsi: stride, rdi: WORDS }, MOST_EXITS + count);
    return { report, words: new Uint32Array(this.#ram.buffer, this.#ram.byteOffset + WORDS, count) };
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  #registers(shmOffset: number): GuestRegisters {
    return { rip: 0, rax: 0, rbx: this.#mode.windowBase + shmOffset, rsp: this.#mode.stackTop };
  }

  #access(registers: GuestRegisters, mostExits: number): GuestReport {
    const vcpu = this.#vcpu;
    const exits: GuestExit[] = [];
    vcpu.set(registers);
    while (exits.length < mostExits) {
      const result = vcpu.run();
      if (result === -EINTR) {
        continue;
      }
      if (result === -EFAULT) {
        const exit = this.#judgeFault();
        exits.push(exit);
        if (!this.#goOn(exit)) {
          return this.#report('stopped', exits);
        }
        continue;
      }
      check(result, 'KVM_RUN');
      switch (vcpu.exitReason) {
        case KVM_EXIT_HLT:
          return this.#report('done', exits);
        case KVM_EXIT_MMIO: {
          if (vcpu.mmio.gpa === DOORBELL_GPA) {
            vcpu.finishInstruction();
            return this.#report('done', exits);
          }
          const exit = this.#judgeMmio();
          exits.push(exit);
          if (exit.verdict === 'stop') {
            vcpu.finishInstruction();
            return this.#report('stopped', exits);
          }
          if (exit.verdict === 'inject') {
            // KVM has emulated the access half: it must end before the guest can be put back to where it began.
            vcpu.finishInstruction();
            vcpu.set(registers);
            this.#inject();
          }
          break;
        }
        default:
          return this.#report(vcpu.exitReason === KVM_EXIT_INTERNAL_ERROR ? 'broken' : 'stopped', exits);
      }
    }
    return this.#report('stopped', exits);
  }

  #judgeFault(): GuestExit {
    const known = this.#vcpu.exitReason === KVM_EXIT_MEMORY_FAULT;
    const offset = known ? this.#vcpu.faultGpa - WINDOW_GPA : null;
    const kind = known ? 'memory-fault' : 'efault';
    return { kind, verdict: this.#window.guestFault(offset, null) };
  }

  /** @returns false where the guest cannot go on */
  #goOn({ verdict }: GuestExit): boolean {
    switch (verdict) {
      case 'inject':
        this.#inject();
        return true;
      case 'retry':
      case 'drop':
        // Only an MMIO exit can be dropped: what a file has lost must lie in a read-only slot for the next try.
        this.#slots.update();
        return true;
      case 'stop':
        return false;
    }
  }

  #inject(): void {
    this.#vcpu.inject(this.#exception, this.#mode.hasErrorCode(this.#exception));
  }

  /** An MMIO exit in the window: KVM could not reach the page behind the slot, or the slot is read-only. */
  #judgeMmio(): GuestExit {
    const { gpa, write, data } = this.#vcpu.mmio;
    const offset = gpa - WINDOW_GPA;
    const verdict = this.#window.guestFault(offset, write);
    if (!write) {
      data.fill(0);
    }
    if (verdict === 'retry') {
      // The page can be had now, and the exit has to be answered: so the VMM makes the access.
      const done = write ? this.#window.write(offset, data) : this.#window.read(offset, data);
      return { kind: 'mmio', verdict: done === data.length ? 'retry' : 'stop' };
    }
    return { kind: 'mmio', verdict };
  }

  #report(end: GuestReport['end'], exits: readonly GuestExit[]): GuestReport {
    const { eax, edx } = this.#vcpu.get();
    const vector = edx >= EXCEPTION_MARK ? edx - EXCEPTION_MARK : -1;
    const faultedAt = vector >= 0 ? this.#mode.faultedAt(this.#ram) : -1;
    return { end: end === 'done' && vector >= 0 ? 'exception' : end, value: eax, vector, faultedAt, exits };
  }
}
