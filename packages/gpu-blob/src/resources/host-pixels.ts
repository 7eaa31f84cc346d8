/** The host memory of a 2D resource. */
import { type Fd, Mapping, PROT_READ, PROT_WRITE, type Sys, SysError, type SysMem } from '@oriel/sys';
import { makeMemoryFile, sizeOfMemoryFile } from '../memory-file.ts';

/** Memory of its own, zeroed, rows tight; goes back to the system when disposed, not when collected. */
export class HostPixels implements Disposable {
  /** The pixels; of length 0 once disposed. */
  readonly u8: Uint8Array;
  readonly #mapping: Mapping;
  #file: Fd | null;

  private constructor(mapping: Mapping, file: Fd | null) {
    this.#mapping = mapping;
    this.#file = file;
    this.u8 = mapping.u8;
  }

  /** Anonymous memory. @param bytes - above 0 @returns null when there is no memory */
  static allocate(mem: SysMem, bytes: number): HostPixels | null {
    return HostPixels.#map(() => Mapping.anonymous(mem, bytes), null);
  }

  /** Memory in a file that another process can take up. @returns null when there is no memory */
  static inFile(sys: Pick<Sys, 'mem' | 'fd' | 'file'>, bytes: number): HostPixels | null {
    const file = makeMemoryFile(sys, 'oriel-pixels', bytes);
    if (file === null) return null;
    const pixels = HostPixels.#map(() => Mapping.shared(sys.mem, file.fd, bytes, 0, PROT_READ | PROT_WRITE), file);
    if (pixels === null) file.close();
    return pixels;
  }

  /** What a process before made in a file. @param fd - lent @returns null for a file that is none of those */
  static of(sys: Pick<Sys, 'mem' | 'file'>, { fd }: Fd, bytes: number): HostPixels | null {
    if (sizeOfMemoryFile(sys, fd) !== bytes) return null;
    return HostPixels.#map(() => Mapping.shared(sys.mem, fd, bytes, 0, PROT_READ | PROT_WRITE), null);
  }

  /** Its file, lent; undefined for one that has none. */
  get fd(): number | undefined {
    return this.#file?.fd;
  }

  /** Somebody else keeps the file: the memory is all that is wanted here. */
  releaseFile(): void {
    this.#file?.close();
    this.#file = null;
  }

  [Symbol.dispose](): void {
    this.releaseFile();
    this.#mapping[Symbol.dispose]();
  }

  static #map(make: () => Mapping, file: Fd | null): HostPixels | null {
    let mapping: Mapping | null = null;
    try {
      mapping = make();
      return new HostPixels(mapping, file);
    } catch (error) {
      mapping?.[Symbol.dispose]();
      if (error instanceof SysError || error instanceof RangeError) return null;
      throw error;
    }
  }
}
