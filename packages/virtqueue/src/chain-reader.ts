/** Reads descriptor chains: every rule that a driver could break is checked here, on a copy of each descriptor. */
import type { GuestMemory, MemoryRegion } from '@oriel/guest-memory';
import { TWO_32 } from '@oriel/layout';
import { VirtqueueError, type VirtqueueErrorCode } from './errors.ts';
import {
  VIRTQUEUE_MAX_SIZE,
  VirtqDesc,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
} from './layout.ts';
import type { PooledChain } from './pooled-chain.ts';

/** What became of a chain. */
export const CHAIN_OK = 0;
/** A buffer lies outside guest memory: refuse the chain; `error` says which. */
export const CHAIN_BAD = 1;
/** A rule of the ring is broken; `error` says which. */
export const CHAIN_BROKEN = 2;

/** Bytes that a chain may have in all (VIRTIO 1.3, 2.7.5). */
const MAX_CHAIN_BYTES = 2 ** 32;

// The compiler folds a module's own constants into the hot loop; imported ones it loads and checks each time.
const NEXT = VRING_DESC_F_NEXT;
const WRITE = VRING_DESC_F_WRITE;
const INDIRECT = VRING_DESC_F_INDIRECT;
const HIGH_WORD = TWO_32;
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

/** Turns a head into the pieces of a chain. */
export class ChainReader {
  /** Why the last `read` was not CHAIN_OK. */
  error: VirtqueueError | null = null;
  /** Descriptors that the last `read` looked at, when it was CHAIN_BAD. */
  visited = 0;
  readonly #memory: GuestMemory;
  readonly #queue: number;
  readonly #size: number;
  readonly #indirect: boolean;
  readonly #maxPieces: number;
  /** The region hit last, and its extent; no address lies in [0, 0). */
  #region: MemoryRegion | null = null;
  #start = 0;
  #end = 0;
  /** The indirect table found last: entries from word `#tableBase` on. */
  #table: Uint32Array = new Uint32Array(0);
  #tableBase = 0;
  /** Holds a table that cannot be read in place. */
  #copy = new Uint32Array(0);

  constructor(memory: GuestMemory, limits: ChainLimits) {
    this.#memory = memory;
    this.#queue = limits.index;
    this.#size = limits.size;
    this.#indirect = limits.indirect;
    this.#maxPieces = limits.maxPieces;
  }

  /** Forgets the region that was hit last: the memory table changed. */
  forget(): void {
    this.#visit(null);
  }

  /** Fills `chain` with the chain at `head` of the descriptor table `desc`. @returns one of CHAIN_* */
  read(desc: Uint32Array, head: number, chain: PooledChain): number {
    let words = desc;
    let base = 0;
    let entries = this.#size;
    let inTable = false;
    let index = head;
    let writing = false;
    let visited = 0;
    let count = 0;
    let readCount = 0;
    let readBytes = 0;
    let bytes = 0;
    let region = this.#region;
    let start = this.#start;
    let end = this.#end;
    let { regions, offsets, lens } = chain;
    let capacity = lens.length;
    chain.head = head;
    this.error = null;
    for (let left = entries; ; left--) {
      if (left === 0) return this.#broken(head, 'ERR_VIRTQ_CHAIN_LOOP', `over ${entries} descriptors visited`);
      visited++;
      // Each word is read once: the driver may change it under us.
      const at = base + (index << 2);
      const low = words[at]!;
      const high = words[at + 1]!;
      const len = words[at + 2]!;
      const flagsNext = words[at + 3]!;
      const gpa = high * HIGH_WORD + low;
      if ((flagsNext & INDIRECT) !== 0) {
        if (inTable) return this.#broken(head, 'ERR_VIRTQ_INDIRECT', `table entry ${index} is indirect`);
        if (!this.#openTable(head, gpa, len, flagsNext)) return CHAIN_BROKEN;
        words = this.#table;
        base = this.#tableBase;
        entries = len >>> DESC_SHIFT;
        // One more, since the loop takes one away.
        left = entries + 1;
        index = 0;
        inTable = true;
        continue;
      }
      if ((flagsNext & WRITE) !== 0) {
        if (!writing) {
          writing = true;
          readCount = count;
          readBytes = bytes;
        }
      } else if (writing) {
        return this.#broken(head, 'ERR_VIRTQ_CHAIN_ORDER', `descriptor ${index} is readable after a writable one`);
      }
      bytes += len;
      if (bytes > MAX_CHAIN_BYTES) {
        return this.#broken(head, 'ERR_VIRTQ_CHAIN_BYTES', `over ${MAX_CHAIN_BYTES} bytes in one chain`);
      }
      if (gpa >= start && gpa + len <= end && count < capacity && len !== 0) {
        // A chain mostly meets the same region again: comparing is cheaper than a store that the collector watches.
        if (regions[count] !== region) regions[count] = region!;
        offsets[count] = gpa - start;
        lens[count] = len;
        count++;
      } else {
        count = this.#place(chain, count, gpa, len);
        if (count < 0) return CHAIN_BROKEN;
        region = this.#region;
        start = this.#start;
        end = this.#end;
        ({ regions, offsets, lens } = chain);
        capacity = lens.length;
      }
      if ((flagsNext & NEXT) === 0) break;
      index = flagsNext >>> 16;
      if (index >= entries) {
        return this.#broken(head, 'ERR_VIRTQ_NEXT', `next ${index} in a table of ${entries} entries`);
      }
    }
    if (!writing) {
      readCount = count;
      readBytes = bytes;
    }
    chain.readCount = readCount;
    chain.writeCount = count - readCount;
    chain.readBytes = readBytes;
    chain.writeBytes = bytes - readBytes;
    if (this.error === null) return CHAIN_OK;
    this.visited = visited;
    return CHAIN_BAD;
  }

  /**
   * Appends a buffer that is not wholly in the region hit last, a piece for each region that it touches.
   * @returns the new count of pieces, or -1 when there are too many; sets `error` when the buffer is outside memory
   */
  #place(chain: PooledChain, count: number, gpa: number, len: number): number {
    let pieces = count;
    let address = gpa;
    for (let left = len; left > 0; ) {
      const region = this.#memory.find(address);
      if (region === null) {
        this.error ??= this.#outside(chain.head, address, left);
        return pieces;
      }
      if (pieces === chain.lens.length && !chain.grow(this.#maxPieces)) {
        this.#broken(chain.head, 'ERR_VIRTQ_CHAIN_LONG', `more than ${this.#maxPieces} pieces`);
        return -1;
      }
      this.#visit(region);
      const part = Math.min(left, this.#end - address);
      chain.regions[pieces] = region;
      chain.offsets[pieces] = address - this.#start;
      chain.lens[pieces] = part;
      pieces++;
      address += part;
      left -= part;
    }
    return pieces;
  }

  /** Finds an indirect table: in place where a view over it can be, else as a copy. @returns false when `error` is set */
  #openTable(head: number, gpa: number, len: number, flagsNext: number): boolean {
    const fault = this.#tableFault(len, flagsNext);
    if (fault !== '') {
      this.#broken(head, 'ERR_VIRTQ_INDIRECT', fault);
      return false;
    }
    if (gpa < this.#start || gpa + len > this.#end) this.#visit(this.#memory.find(gpa));
    const region = this.#region;
    if (region?.direct && gpa >= this.#start && gpa + len <= this.#end) {
      const offset = gpa - this.#start;
      if ((offset & 3) === 0) {
        this.#table = region.u32;
        // A shift keeps the index a machine integer; above 4 GiB it must be a division.
        this.#tableBase = offset < HIGH_WORD ? offset >>> 2 : offset / 4;
        return true;
      }
    }
    if (this.#copyTable(gpa, len)) return true;
    this.#broken(head, 'ERR_VIRTQ_INDIRECT', `table at gpa ${gpa}, ${len} bytes: not in guest memory`);
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
    this.#table = this.#copy;
    this.#tableBase = 0;
    return true;
  }

  #visit(region: MemoryRegion | null): void {
    this.#region = region;
    this.#start = region === null ? 0 : region.gpa;
    this.#end = region === null ? 0 : region.gpa + region.size;
  }

  #outside(head: number, gpa: number, len: number): VirtqueueError {
    return this.#error(head, 'ERR_VIRTQ_BUFFER', `buffer at gpa ${gpa}, ${len} bytes: not in guest memory`);
  }

  #broken(head: number, code: VirtqueueErrorCode, detail: string): number {
    this.error = this.#error(head, code, detail);
    return CHAIN_BROKEN;
  }

  #error(head: number, code: VirtqueueErrorCode, detail: string): VirtqueueError {
    const queue = this.#queue;
    return new VirtqueueError(code, 'driver', `queue ${queue}, chain ${head}: ${detail}`, { queue, head });
  }
}
