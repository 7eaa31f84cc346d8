/** Guest RAM, and files that only look like it. */
import {
  check,
  F_SEAL_SHRINK,
  Fd,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';
import type { Region } from './payloads.ts';

/** GPA of the first byte: not 0, so that mixing it up with an offset shows. */
export const RAM_GPA = 0x4000_0000;
/** User address of the first byte; no address of any process. */
export const RAM_USER = 0x7f12_3400_0000;
/** Bytes. */
export const RAM_SIZE = 0x10_0000;

/** A memfd. @param seal - it can then never shrink, which some back-ends want of memory that rings stand in */
export function memoryFile(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, size: number, seal: 'sealed' | 'unsealed'): Fd {
  const file = new Fd(sys.fd, check(sys.mem.memfdCreate('torture', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
  try {
    check(sys.file.ftruncate(file.fd, size), 'ftruncate');
    if (seal === 'sealed') check(sys.mem.addSeals(file.fd, F_SEAL_SHRINK), 'fcntl');
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** One region of RAM as the guest sees it. */
export class Ram implements Disposable {
  readonly file: Fd;
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly #mapping: Mapping;

  /** @throws SysError when there is no memory for it */
  constructor(sys: Pick<Sys, 'mem' | 'fd' | 'file'>) {
    this.file = memoryFile(sys, RAM_SIZE, 'sealed');
    try {
      this.#mapping = Mapping.shared(sys.mem, this.file.fd, RAM_SIZE, 0, PROT_READ | PROT_WRITE);
    } catch (error) {
      this.file.close();
      throw error;
    }
    this.u8 = this.#mapping.u8;
    this.view = new DataView(this.u8.buffer, this.u8.byteOffset, this.u8.byteLength);
  }

  /** The region as it is announced. */
  get region(): Region {
    return { gpa: RAM_GPA, size: RAM_SIZE, user: RAM_USER, offset: 0 };
  }

  /** Offset in `u8` and `view` of a GPA. */
  offsetOf(gpa: number): number {
    return gpa - RAM_GPA;
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
    this.file.close();
  }
}
