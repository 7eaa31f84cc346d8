/** What the readers of both ring formats share: the pieces of a buffer, indirect tables, and the words for what is wrong. */
import type { GuestMemory, MemoryRegion } from '@oriel/guest-memory';
import { TWO_32 } from '@oriel/layout';
import { VirtqueueError, type VirtqueueErrorCode } from './errors.ts';
import { VIRTQUEUE_MAX_SIZE, VirtqDesc, VRING_DESC_F_NEXT } from './layout.ts';
import type { PooledChain } from './pooled-chain.ts';

/** What became of a chain. */
export const CHAIN_OK = 0;
/** A buffer lies outside guest memory: refuse the chain; `error` says which. */
export const CHAIN_BAD = 1;
/** A rule of the ring is broken; `error` says which. */
export const CHAIN_BROKEN = 2;

/** Bytes that a chain may have in all (VIRTIO 1.3, 2.7.5). */
export const MAX_CHAIN_BYTES = 2 ** 32;

// The compiler folds a module's own constants into the hot loop; imported ones it loads and checks each time.
const NEXT = VRING_DESC_F_NEXT;
const HIGH_WORD = TWO_32;
const OK = CHAIN_OK;
const DESC_BYTES = VirtqDesc.byteLength;
/** log2 of the bytes of a descriptor. */
const DESC_SHIFT = 4;

/** What bounds a chain. */
export interface ChainLimits {
  /** Queue index, for errors. */
  readonly index: number;
  readonly size: number;
  readonly indirect: boolean;
  readonly maxPieces: number;
}

/** Finds buffers and tables in guest memory. */
export abstract class PieceReader {
  /** Why the last `read` was not CHAIN_OK. */
  error: VirtqueueError | null = null;
  /** Descriptors that the last `read` looked at, when it was CHAIN_BAD. */
  visited = 0;
  readonly #memory: GuestMemory;
  readonly #queue: number;
  protected readonly size: number;
  readonly #indirect: boolean;
  readonly #maxPieces: number;
  /** The region hit last, and its extent; no address lies in [0, 0). */
  protected region: MemoryRegion | null = null;
  protected start = 0;
  protected end = 0;
  /** The indirect table found last: entries from word `tableBase` on. */
  protected table: Uint32Array = new Uint32Array(0);
  protected tableBase = 0;
  /** Holds a table that cannot be read in place. */
  #copy = new Uint32Array(0);

  constructor(memory: GuestMemory, limits: ChainLimits) {
    this.#memory = memory;
    this.#queue = limits.index;
    this.size = limits.size;
    this.#indirect = limits.indirect;
    this.#maxPieces = limits.maxPieces;
  }

  /** Forgets the region that was hit last: the memory table changed. */
  forget(): void {
    this.#visit(null);
  }

  /** Ends a chain of `count` pieces and `bytes` bytes, of which the first are readable. @returns CHAIN_OK or CHAIN_BAD */
  protected close(chain: PooledChain, count: number, readCount: number, bytes: number, readBytes: number): number {
    chain.readCount = readCount;
    chain.writeCount = count - readCount;
    chain.readBytes = readBytes;
    chain.writeBytes = bytes - readBytes;
    return this.error === null ? OK : CHAIN_BAD;
  }

  /**
   * Appends a buffer that is not wholly in the region hit last, a piece for each region that it touches.
   * @returns the new count of pieces, or -1 when there are too many; sets `error` when the buffer is outside memory
   */
  protected place(chain: PooledChain, count: number, gpa: number, len: number): number {
    let pieces = count;
    let address = gpa;
    for (let left = len; left > 0; ) {
      const region = this.#memory.find(address);
      if (region === null) {
        this.error ??= this.#outside(chain.head, address, left);
        return pieces;
      }
      if (pieces === chain.lens.length && !chain.grow(this.#maxPieces)) {
        this.broken(chain.head, 'ERR_VIRTQ_CHAIN_LONG', `more than ${this.#maxPieces} pieces`);
        return -1;
      }
      this.#visit(region);
      const part = Math.min(left, this.end - address);
      chain.regions[pieces] = region;
      chain.offsets[pieces] = address - this.start;
      chain.lens[pieces] = part;
      pieces++;
      address += part;
      left -= part;
    }
    return pieces;
  }

  /** Finds an indirect table: in place where a view over it can be, else as a copy. @returns false when `error` is set */
  protected openTable(head: number, gpa: number, len: number, flagsNext: number): boolean {
    const fault = this.#tableFault(len, flagsNext);
    if (fault !== '') {
      this.broken(head, 'ERR_VIRTQ_INDIRECT', fault);
      return false;
    }
    if (gpa < this.start || gpa + len > this.end) this.#visit(this.#memory.find(gpa));
    const region = this.region;
    if (region?.direct && gpa >= this.start && gpa + len <= this.end) {
      const offset = gpa - this.start;
      if ((offset & 3) === 0) {
        this.table = region.u32;
        // A shift keeps the index a machine integer; above 4 GiB it must be a division.
        this.tableBase = offset < HIGH_WORD ? offset >>> 2 : offset / 4;
        return true;
      }
    }
    if (this.#copyTable(gpa, len)) return true;
    this.broken(head, 'ERR_VIRTQ_INDIRECT', `table at gpa ${gpa}, ${len} bytes: not in guest memory`);
    return false;
  }

  #tableFault(len: number, flagsNext: number): string {
    if (!this.#indirect) return 'indirect descriptors were not negotiated';
    if ((flagsNext & NEXT) !== 0) return 'an indirect descriptor has a next one';
    if (len === 0 || (len & (DESC_BYTES - 1)) !== 0) return `table of ${len} bytes, want a multiple of 16`;
    const entries = len >>> DESC_SHIFT;
    return entries > VIRTQUEUE_MAX_SIZE ? `table of ${entries} entries, want at most ${VIRTQUEUE_MAX_SIZE}` : '';
  }

  /** Copies a table that lies in guarded memory, at an odd address, or across regions. @returns false when it cannot */
  #copyTable(gpa: number, len: number): boolean {
    if (this.#copy.byteLength < len) this.#copy = new Uint32Array(len / 4);
    const bytes = new Uint8Array(this.#copy.buffer);
    for (let done = 0; done < len; ) {
      const region = this.#memory.find(gpa + done);
      if (region === null) return false;
      const offset = gpa + done - region.gpa;
      const part = Math.min(len - done, region.size - offset);
      if (region.read(offset, bytes, done, part) !== 0) return false;
      done += part;
    }
    this.table = this.#copy;
    this.tableBase = 0;
    return true;
  }

  #visit(region: MemoryRegion | null): void {
    this.region = region;
    this.start = region === null ? 0 : region.gpa;
    this.end = region === null ? 0 : region.gpa + region.size;
  }

  #outside(head: number, gpa: number, len: number): VirtqueueError {
    return this.#errorAt(head, 'ERR_VIRTQ_BUFFER', `buffer at gpa ${gpa}, ${len} bytes: not in guest memory`);
  }

  protected broken(head: number, code: VirtqueueErrorCode, detail: string): number {
    this.error = this.#errorAt(head, code, detail);
    return CHAIN_BROKEN;
  }

  #errorAt(head: number, code: VirtqueueErrorCode, detail: string): VirtqueueError {
    const queue = this.#queue;
    return new VirtqueueError(code, 'driver', `queue ${queue}, chain ${head}: ${detail}`, { queue, head });
  }
}
