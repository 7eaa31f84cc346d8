/**
 * Memory for the arguments that the kernel reads through a pointer: one anonymous mapping a `Sys`, cut up at set-up,
 * so that no call allocates. It lives as long as the process.
 */
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../constants/memory.ts';
import { SysError } from '../sys-error.ts';
import { errno, koffi, rawCall } from './library.ts';
import { SYS } from './numbers.ts';

const SCRATCH_LEN = 32768;

/** A piece of scratch memory: as an address for the kernel, and as a place in `view` for us. */
export interface ScratchPiece {
  readonly addr: number;
  readonly base: number;
}

/** Scratch memory, handed out once and never taken back. */
export class Scratch {
  readonly view: DataView;
  readonly u8: Uint8Array;
  readonly #addr: number;
  #used = 0;

  /** @throws SysError ENOMEM */
  constructor() {
    const addr = rawCall('piiiii')(
      SYS.mmap,
      0,
      SCRATCH_LEN,
      PROT_READ | PROT_WRITE,
      MAP_PRIVATE | MAP_ANONYMOUS,
      -1,
      0,
    );
    if (addr === -1) {
      throw new SysError(errno(), 'mmap');
    }
    const buffer = koffi().view(addr, SCRATCH_LEN);
    this.view = new DataView(buffer);
    this.u8 = new Uint8Array(buffer);
    this.#addr = addr;
  }

  /** Takes `len` bytes, aligned to 16, zeroed. @throws RangeError when the scratch is too small (a bug) */
  take(len: number): ScratchPiece {
    const base = this.#used;
    if (base + len > SCRATCH_LEN) {
      throw new RangeError(`scratch memory of ${SCRATCH_LEN} bytes is used up`);
    }
    this.#used = (base + len + 15) & ~15;
    return { addr: this.#addr + base, base };
  }
}
