/** The guest's ring: a blob of guest pages, whose start each message overwrites. */
import type { ContextHost } from '@oriel/gpu-blob';
import { EINVAL } from '@oriel/sys';

/** Largest message, bytes. */
const SCRATCH_SIZE = 65536;

/** Private memory in which messages are put together; one serves all contexts of a type, which take turns. */
export class Scratch {
  readonly bytes = new Uint8Array(SCRATCH_SIZE);
  readonly view = new DataView(this.bytes.buffer);
}

/** A resource by its id: looked up at each use, since it may be detached at any time. */
export class Ring {
  readonly id: number;
  readonly scratch: Scratch;
  readonly #host: ContextHost;
  readonly #least: number;

  /** @param least - bytes that every message may have */
  constructor(host: ContextHost, id: number, scratch: Scratch, least: number) {
    this.#host = host;
    this.id = id;
    this.scratch = scratch;
    this.#least = least;
  }

  /** It is not attached any more, or a smaller one is in its place. */
  get isLost(): boolean {
    return this.room < this.#least;
  }

  /** Bytes that a message may have now; 0 when it is not attached. */
  get room(): number {
    return Math.min(this.#host.resource(this.id)?.backingSize ?? 0, SCRATCH_SIZE);
  }

  /** Gives the guest the first `len` bytes of the scratch memory. @returns 0 or a negative errno */
  write(len: number): number {
    return this.#host.resource(this.id)?.writeBacking(0, this.scratch.bytes, 0, len) ?? -EINVAL;
  }
}
