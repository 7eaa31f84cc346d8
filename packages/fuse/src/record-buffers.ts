/** Buffers for directory records: few, large, shared by the operations that are in READDIR right now. */

/** More READDIRs than this at once get along with what room their operation has. */
const BUFFERS = 16;

/** Memory in which records are built before they go out as one write. */
export class RecordBuffer {
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;

  constructor(bytes: number) {
    this.u8 = new Uint8Array(bytes);
    this.u32 = new Uint32Array(this.u8.buffer);
  }
}

/** At most 16 buffers of `bytes`, made when first needed. */
export class RecordBuffers {
  readonly #bytes: number;
  readonly #free: RecordBuffer[] = [];
  #made = 0;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take(): RecordBuffer | null {
    const buffer = this.#free.pop();
    if (buffer !== undefined) {
      return buffer;
    }
    if (this.#made === BUFFERS) {
      return null;
    }
    this.#made++;
    return new RecordBuffer(this.#bytes);
  }

  give(buffer: RecordBuffer): void {
    this.#free.push(buffer);
  }
}
