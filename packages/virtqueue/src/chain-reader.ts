/** Reads descriptor chains: every rule that a driver could break is checked here, on a copy of each descriptor. */
import type { GuestMemory } from '@oriel/guest-memory';
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

/** Bytes that a chain may have in all (VIRTIO 1.3, 2.7.4). */
const MAX_CHAIN_BYTES = TWO_32;

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
  readonly #memory: GuestMemory;
  readonly #limits: ChainLimits;
  /** The indirect table found last: entries from word `#tableBase` on. */
  #table = new Uint32Array(0);
  #tableBase = 0;
  /** Holds a table that cannot be read in place. */
  #copy = new Uint32Array(0);

  constructor(memory: GuestMemory, limits: ChainLimits) {
    this.#memory = memory;
    this.#limits = limits;
  }

  /** Fills `chain` with the chain at `head` of the descriptor table `desc`. @returns one of CHAIN_* */
  read(desc: Uint32Array, head: number, chain: PooledChain): number {
    const memory = this.#memory;
    let words = desc;
    let base = 0;
    let entries = this.#limits.size;
    let inTable = false;
    let index = head;
    let writing = false;
    let count = 0;
    let readCount = 0;
    let readBytes = 0;
    let bytes = 0;
    let verdict = CHAIN_OK;
    chain.head = head;
    for (let left = entries; ; left--) {
      if (left === 0) return this.#broken(head, 'ERR_VIRTQ_CHAIN_LOOP', `over ${entries} descriptors visited`);
      // Each word is read once: the driver may change it under us.
      const at = base + index * 4;
      const low = words[at]!;
      const high = words[at + 1]!;
      const len = words[at + 2]!;
      const flagsNext = words[at + 3]!;
      let gpa = high * TWO_32 + low;
      if ((flagsNext & VRING_DESC_F_INDIRECT) !== 0) {
        if (inTable) return this.#broken(head, 'ERR_VIRTQ_INDIRECT', `table entry ${index} is indirect`);
        if (!this.#openTable(head, gpa, len, flagsNext)) return CHAIN_BROKEN;
        words = this.#table;
        base = this.#tableBase;
        entries = len / VirtqDesc.byteLength;
        // One more, since the loop takes one away.
        left = entries + 1;
        index = 0;
        inTable = true;
        continue;
      }
      if ((flagsNext & VRING_DESC_F_WRITE) !== 0) {
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
      for (let rest = len; rest !== 0; ) {
        const region = memory.find(gpa);
        if (region === null) {
          if (verdict === CHAIN_OK) verdict = this.#outside(head, gpa, rest);
          break;
        }
        if (count === chain.lens.length && !chain.grow(this.#limits.maxPieces)) {
          return this.#broken(head, 'ERR_VIRTQ_CHAIN_LONG', `more than ${this.#limits.maxPieces} pieces`);
        }
        const offset = gpa - region.gpa;
        const room = region.size - offset;
        const part = rest < room ? rest : room;
        chain.regions[count] = region;
        chain.offsets[count] = offset;
        chain.lens[count] = part;
        count++;
        gpa += part;
        rest -= part;
      }
      if ((flagsNext & VRING_DESC_F_NEXT) === 0) break;
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
    return verdict;
  }

  /** Finds an indirect table: in place where a view over it can be, else as a copy. @returns false when `error` is set */
  #openTable(head: number, gpa: number, len: number, flagsNext: number): boolean {
    const fault = this.#tableFault(len, flagsNext);
    if (fault !== '') {
      this.#broken(head, 'ERR_VIRTQ_INDIRECT', fault);
      return false;
    }
    const region = this.#memory.find(gpa);
    if (region?.direct) {
      const offset = gpa - region.gpa;
      if (offset + len <= region.size && (offset & 3) === 0) {
        this.#table = region.u32;
        this.#tableBase = offset / 4;
        return true;
      }
    }
    if (this.#copyTable(gpa, len)) return true;
    this.#broken(head, 'ERR_VIRTQ_INDIRECT', `table at gpa ${gpa}, ${len} bytes: not in guest memory`);
    return false;
  }

  #tableFault(len: number, flagsNext: number): string {
    if (!this.#limits.indirect) return 'indirect descriptors were not negotiated';
    if ((flagsNext & VRING_DESC_F_NEXT) !== 0) return 'an indirect descriptor has a next one';
    if (len === 0 || len % VirtqDesc.byteLength !== 0) return `table of ${len} bytes, want a multiple of 16`;
    const entries = len / VirtqDesc.byteLength;
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

  #outside(head: number, gpa: number, len: number): number {
    this.error = this.#error(head, 'ERR_VIRTQ_BUFFER', `buffer at gpa ${gpa}, ${len} bytes: not in guest memory`);
    return CHAIN_BAD;
  }

  #broken(head: number, code: VirtqueueErrorCode, detail: string): number {
    this.error = this.#error(head, code, detail);
    return CHAIN_BROKEN;
  }

  #error(head: number, code: VirtqueueErrorCode, detail: string): VirtqueueError {
    const queue = this.#limits.index;
    return new VirtqueueError(code, 'driver', `queue ${queue}, chain ${head}: ${detail}`, { queue, head });
  }
}
