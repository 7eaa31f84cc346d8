/** The host memory of a 2D resource. */
import { Mapping, SysError, type SysMem } from '@oriel/sys';

/** Anonymous memory of its own, zeroed, rows tight; goes back to the system when disposed, not when collected. */
export class HostPixels implements Disposable {
  /** The pixels; of length 0 once disposed. */
  readonly u8: Uint8Array;
  readonly #mapping: Mapping;

  private constructor(mapping: Mapping) {
    this.#mapping = mapping;
    this.u8 = mapping.u8;
  }

  /** @param bytes - above 0 @returns null when there is no memory */
  static allocate(mem: SysMem, bytes: number): HostPixels | null {
    let mapping: Mapping | null = null;
    try {
      mapping = Mapping.anonymous(mem, bytes);
      return new HostPixels(mapping);
    } catch (error) {
      mapping?.[Symbol.dispose]();
      if (error instanceof SysError || error instanceof RangeError) return null;
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }
}
