/** Reads the chains of a packed ring (VIRTIO 1.3, 2.8), under the same rules as those of a split one. */
import { TWO_32 } from '@oriel/layout';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from './layout.ts';
import { CHAIN_BROKEN, MAX_CHAIN_BYTES as MAX_BYTES, PieceReader } from './piece-reader.ts';
import type { PooledChain } from './pooled-chain.ts';
import type { KeptBuffer } from './queue.ts';

// The compiler folds a module's own constants into the hot loop; imported ones it loads and checks each time.
const NEXT = VRING_DESC_F_NEXT << 16;
const WRITE = VRING_DESC_F_WRITE << 16;
const INDIRECT = VRING_DESC_F_INDIRECT << 16;
const HIGH_WORD = TWO_32;
const MAX_CHAIN_BYTES = MAX_BYTES;
const BROKEN = CHAIN_BROKEN;
/** log2 of the bytes of a descriptor. */
const DESC_SHIFT = 4;

/** Turns a place in the ring into the pieces of a chain. */
export class PackedChainReader extends PieceReader {
  /**
   * Fills `chain` with the chain that begins at `first` of the descriptor ring, its id and its count of descriptors.
   * @param room - descriptors that the driver can have made available
   * @returns one of CHAIN_*
   */
  read(desc: Uint32Array, first: number, room: number, chain: PooledChain): number {
    const { size } = this;
    let words = desc;
    let base = 0;
    let entries = 0;
    let index = first;
    let slots = 0;
    let id = 0;
    let writing = false;
    let visited = 0;
    let count = 0;
    let readCount = 0;
    let readBytes = 0;
    let bytes = 0;
    let region = this.region;
    let start = this.start;
    let end = this.end;
    let { regions, offsets, lens } = chain;
    let capacity = lens.length;
    chain.head = first;
    this.error = null;
    for (;;) {
      visited++;
      // Each word is read once: the driver may change it under us.
      const at = base + (index << 2);
      const low = words[at]!;
      const high = words[at + 1]!;
      const len = words[at + 2]!;
      const idFlags = words[at + 3]!;
      const gpa = high * HIGH_WORD + low;
      if (entries === 0) {
        if (slots === room) return this.#tooLong(first, room);
        slots++;
        // All descriptors of a chain bear it, or the last one only (2.8.6).
        id = idFlags & 0xffff;
        if ((idFlags & INDIRECT) !== 0) {
          if (slots > 1) return this.broken(first, 'ERR_VIRTQ_INDIRECT', `descriptor ${index} of a chain is indirect`);
          if (!this.openTable(first, gpa, len, idFlags >>> 16)) return BROKEN;
          words = this.table;
          base = this.tableBase;
          entries = len >>> DESC_SHIFT;
          index = 0;
          continue;
        }
      }
      if ((idFlags & WRITE) !== 0) {
        if (!writing) {
          writing = true;
          readCount = count;
          readBytes = bytes;
        }
      } else if (writing) {
        return this.broken(first, 'ERR_VIRTQ_CHAIN_ORDER', `descriptor ${index} is readable after a writable one`);
      }
      bytes += len;
      if (bytes > MAX_CHAIN_BYTES) {
        return this.broken(first, 'ERR_VIRTQ_CHAIN_BYTES', `over ${MAX_CHAIN_BYTES} bytes in one chain`);
      }
      if (gpa >= start && gpa + len <= end && count < capacity && len !== 0) {
        // A chain mostly meets the same region again: comparing is cheaper than a store that the collector watches.
        if (regions[count] !== region) regions[count] = region!;
        offsets[count] = gpa - start;
        lens[count] = len;
        count++;
      } else {
        count = this.place(chain, count, gpa, len);
        if (count < 0) return BROKEN;
        region = this.region;
        start = this.start;
        end = this.end;
        ({ regions, offsets, lens } = chain);
        capacity = lens.length;
      }
      index++;
      if (entries !== 0) {
        // In a table, order says what is next, and no flag but WRITE counts (2.8.7).
        if (index === entries) break;
      } else {
        if ((idFlags & NEXT) === 0) break;
        if (index === size) index = 0;
      }
    }
    if (!writing) {
      readCount = count;
      readBytes = bytes;
    }
    chain.head = id;
    chain.slots = slots;
    this.visited = visited;
    return this.close(chain, count, readCount, bytes, readBytes);
  }

  /** Fills `chain` with buffers that were read before; its head and slots are the caller's to set. @returns as `read` */
  restore(buffers: readonly KeptBuffer[], chain: PooledChain): number {
    this.error = null;
    let count = 0;
    let readCount = 0;
    let readBytes = 0;
    let bytes = 0;
    for (const { gpa, len, writable } of buffers) {
      count = this.place(chain, count, gpa, len);
      if (count < 0) return BROKEN;
      bytes += len;
      if (!writable) {
        readCount = count;
        readBytes = bytes;
      }
    }
    return this.close(chain, count, readCount, bytes, readBytes);
  }

  #tooLong(first: number, room: number): number {
    return room === this.size
      ? this.broken(first, 'ERR_VIRTQ_CHAIN_LOOP', `over ${room} descriptors in one chain`)
      : this.broken(first, 'ERR_VIRTQ_INDEX', `more descriptors than the ${room} that are not in flight`);
  }
}
