/** The owner of mapped memory. */
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } from './constants/memory.ts';
import type { Address, SysMem } from './sys.ts';
import { check } from './sys-error.ts';

let live = 0;

/** Mappings of this thread not yet disposed: what `leakCheck` counts, since anonymous memory has no name. */
export function liveMappings(): number {
  return live;
}

/** A mapping with an owner; `dispose` detaches its views, then unmaps. */
export class Mapping implements Disposable {
  /** Bytes. */
  readonly len: number;
  readonly #sys: SysMem;
  #addr: Address;
  #u8: Uint8Array | undefined;

  private constructor(sys: SysMem, addr: Address, len: number) {
    this.#sys = sys;
    this.#addr = addr;
    this.len = len;
    live++;
  }

  /** Where it starts. @throws RangeError once disposed */
  get addr(): Address {
    if (this.#addr === 0) {
      throw new RangeError('the mapping was disposed');
    }
    return this.#addr;
  }

  /** The memory as bytes. Made at first use; only for memory that cannot shrink. @throws RangeError once disposed */
  get u8(): Uint8Array {
    this.#u8 ??= new Uint8Array(this.#sys.view(this.addr, this.len));
    return this.#u8;
  }

  /** Anonymous private memory, zeroed: scratch for system calls, aligned to a page. @throws SysError ENOMEM, EINVAL */
  static anonymous(sys: SysMem, len: number): Mapping {
    const addr = check(sys.mmap(0, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 'mmap');
    return new Mapping(sys, addr, len);
  }

  /**
   * Maps a file shared.
   * @param offset - bytes into the file, a multiple of the page size
   * @param prot - PROT_* bits
   * @throws SysError EACCES, EBADF, EINVAL, ENODEV, ENOMEM
   */
  static shared(sys: SysMem, fd: number, len: number, offset: number, prot: number): Mapping {
    return new Mapping(sys, check(sys.mmap(0, len, prot, MAP_SHARED, fd, offset), 'mmap'), len);
  }

  /** Detaches the views made of it (they then have length 0), then unmaps; harmless a second time. */
  [Symbol.dispose](): void {
    if (this.#addr === 0) {
      return;
    }
    const addr = this.#addr;
    this.#addr = 0;
    live--;
    if (this.#u8 !== undefined) {
      // A typed array left over then has length 0; over unmapped memory it would kill the process.
      this.#sys.detach(this.#u8.buffer as ArrayBuffer);
      this.#u8 = undefined;
    }
    check(this.#sys.munmap(addr, this.len), 'munmap');
  }
}
