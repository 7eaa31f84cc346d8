/** Memory that stays a run's own while helper threads use it. */
import { type Address, Mapping, type SysMem } from '@oriel/sys';

const CHUNK = 65_536;
const ALIGN = 16;

/** A piece of a run's memory. */
export interface RunBytes {
  readonly addr: Address;
  readonly bytes: Uint8Array;
}

/** Handed out piece by piece, taken back as a whole. */
export class RunMemory implements Disposable {
  readonly #mem: SysMem;
  /** The first is kept for the next run. */
  readonly #chunks: Mapping[] = [];
  #used = CHUNK;

  constructor(mem: SysMem) {
    this.#mem = mem;
  }

  /** @throws SysError ENOMEM */
  take(len: number, align = ALIGN): RunBytes {
    let chunk = this.#chunks.at(-1);
    this.#used = Math.ceil(this.#used / align) * align;
    if (chunk === undefined || this.#used + len > chunk.len) {
      chunk = Mapping.anonymous(this.#mem, Math.max(CHUNK, len));
      this.#chunks.push(chunk);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used = at + Math.ceil(len / ALIGN) * ALIGN;
    return { addr: chunk.addr + at, bytes: chunk.u8.subarray(at, at + len) };
  }

  /** Everything is free again. */
  clear(): void {
    for (const chunk of this.#chunks.splice(this.#chunks[0]?.len === CHUNK ? 1 : 0)) {
      chunk[Symbol.dispose]();
    }
    this.#used = this.#chunks.length === 0 ? CHUNK : 0;
  }

  [Symbol.dispose](): void {
    for (const chunk of this.#chunks.splice(0)) {
      chunk[Symbol.dispose]();
    }
    this.#used = CHUNK;
  }
}
