/** What differs between guests: their code and tables, how they begin, and how they end. */

/** A guest that can load, store and sweep. EDX holds `EXCEPTION_MARK + vector` when it got an exception. */
export interface GuestMode {
  readonly name: 'real' | 'user';
  /** What the guest adds to an offset in the window to get its own address of it. */
  readonly windowBase: number;
  /** Where the three programs begin, and the stack pointer at their start. */
  readonly loadAt: number;
  readonly storeAt: number;
  readonly sweepAt: number;
  readonly stackTop: number;
  /** Writes programs, exception handlers and tables into guest RAM, which begins at guest address 0. */
  writeTo(ram: Uint8Array): void;
  /** Fills in `struct kvm_sregs`. */
  enter(sregs: DataView): void;
  /** Whether the processor pushes an error code with an exception. */
  hasErrorCode(vector: number): boolean;
  /** The instruction to which the exception's handler would return. */
  faultedAt(ram: DataView): number;
}

export const RAM_SIZE = 0x10000;
/** Where the window begins for the guest. */
export const WINDOW_GPA = 0x1000_0000;
/** A store here is an MMIO exit that means: done. */
export const DOORBELL_GPA = 0x2000_0000;
/** Where a sweep leaves its words, and how many there is room for. */
export const WORDS = 0x9000;
export const MOST_WORDS = (RAM_SIZE - WORDS) / 4;
export const EXCEPTION_MARK = 0xe000;
export const VECTORS = 32;
