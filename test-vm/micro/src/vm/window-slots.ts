/** The memory slots in which a guest finds a window. */
import type { Window } from '@oriel/shm-region';
import { check, KVM_MEM_READONLY, type SysKvm } from '@oriel/sys';

interface Slot {
  readonly number: number;
  readonly shmOffset: number;
  readonly len: number;
  readonly readOnly: boolean;
}

/** What a slot is made of. */
type Piece = Omit<Slot, 'number'>;

export interface WindowSlotsOptions {
  readonly kvm: SysKvm;
  readonly vm: number;
  readonly window: Pick<Window, 'addr' | 'size' | 'entries' | 'gaps'>;
  /** Guest address of the window. */
  readonly gpa: number;
  readonly firstSlot: number;
}

/**
 * One slot for the whole window, in which mmap alone changes what the guest sees; or with `split` one slot for each piece,
 * read-only where a store must become an exit: unmapped pages, what a truncated file lost, mappings without write access. A
 * slot that changes is gone for a moment. An access to it is then an MMIO exit, and answered as the window says: zeros and a
 * dropped store where nothing is mapped, else the bytes of the file.
 */
export class WindowSlots {
  readonly #options: WindowSlotsOptions;
  readonly #split: boolean;
  readonly #slots = new Map<string, Slot>();
  readonly #free: number[] = [];
  #next: number;

  constructor(options: WindowSlotsOptions, split: boolean) {
    this.#options = options;
    this.#split = split;
    this.#next = options.firstSlot;
  }

  /** Brings the slots up to what the window holds now. @throws SysError */
  update(): void {
    const wanted = new Map(this.#pieces().map((piece) => [`${piece.shmOffset}+${piece.len} ${piece.readOnly}`, piece]));
    for (const [key, slot] of this.#slots) {
      if (!wanted.has(key)) {
        this.#set({ ...slot, len: 0 });
        this.#slots.delete(key);
        this.#free.push(slot.number);
      }
    }
    for (const [key, piece] of wanted) {
      if (!this.#slots.has(key)) {
        const slot = { ...piece, number: this.#free.pop() ?? this.#next++ };
        this.#set(slot);
        this.#slots.set(key, slot);
      }
    }
  }

  #pieces(): Piece[] {
    const { window } = this.#options;
    if (!this.#split) {
      return [{ shmOffset: 0, len: window.size, readOnly: false }];
    }
    const pieces: Piece[] = window.gaps().map((gap) => ({ ...gap, readOnly: true }));
    for (const { shmOffset, len, lost, writable } of window.entries()) {
      pieces.push({ shmOffset, len: len - lost, readOnly: !writable });
      pieces.push({ shmOffset: shmOffset + len - lost, len: lost, readOnly: true });
    }
    return pieces.filter(({ len }) => len > 0);
  }

  #set({ number, shmOffset, len, readOnly }: Slot): void {
    const { kvm, vm, window, gpa } = this.#options;
    const flags = readOnly ? KVM_MEM_READONLY : 0;
    const error = kvm.setMemoryRegion(vm, number, flags, gpa + shmOffset, len, window.addr + shmOffset);
    check(error, 'KVM_SET_USER_MEMORY_REGION');
  }
}
