/** Reads the chains of a split ring: every rule that a driver could break is checked here, on a copy of each descriptor. */
import { TWO_32 } from '@oriel/layout';
import { VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT, VRING_DESC_F_WRITE } from './layout.ts';
import { CHAIN_BROKEN, MAX_CHAIN_BYTES as MAX_BYTES, PieceReader } from './piece-reader.ts';
import type { PooledChain } from './pooled-chain.ts';

// The compiler folds a module's own constants into the hot loop; imported ones it loads and checks each time.
const NEXT = VRING_DESC_F_NEXT;
const WRITE = VRING_DESC_F_WRITE;
const INDIRECT = VRING_DESC_F_INDIRECT;
const HIGH_WORD = TWO_32;
const MAX_CHAIN_BYTES = MAX_BYTES;
const BROKEN = CHAIN_BROKEN;
/** log2 of the bytes of a descriptor. */
const DESC_SHIFT = 4;

/** Turns a head into the pieces of a chain. */
export class ChainReader extends PieceReader {
  /** Fills `chain` with the chain at `head` of the descriptor table `desc`. @returns one of CHAIN_* */
  read(desc: Uint32Array, head: number, chain: PooledChain): number {
    let words = desc;
    let base = 0;
    let entries = this.size;
    let inTable = false;
    let index = head;
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
    chain.head = head;
    this.error = null;
    for (let left = entries; ; left--) {
      if (left === 0) return this.broken(head, 'ERR_VIRTQ_CHAIN_LOOP', `over ${entries} descriptors visited`);
      visited++;
      // Each word is read once: the driver may change it under us.
      const at = base + (index << 2);
      const low = words[at]!;
      const high = words[at + 1]!;
      const len = words[at + 2]!;
      const flagsNext = words[at + 3]!;
      const gpa = high * HIGH_WORD + low;
      if ((flagsNext & INDIRECT) !== 0) {
        if (inTable) return this.broken(head, 'ERR_VIRTQ_INDIRECT', `table entry ${index} is indirect`);
        if (!this.openTable(head, gpa, len, flagsNext)) return BROKEN;
        words = this.table;
        base = this.tableBase;
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
        return this.broken(head, 'ERR_VIRTQ_CHAIN_ORDER', `descriptor ${index} is readable after a writable one`);
      }
      bytes += len;
      if (bytes > MAX_CHAIN_BYTES) {
        return this.broken(head, 'ERR_VIRTQ_CHAIN_BYTES', `over ${MAX_CHAIN_BYTES} bytes in one chain`);
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
      if ((flagsNext & NEXT) === 0) break;
      index = flagsNext >>> 16;
      if (index >= entries) {
        return this.broken(head, 'ERR_VIRTQ_NEXT', `next ${index} in a table of ${entries} entries`);
      }
    }
    if (!writing) {
      readCount = count;
      readBytes = bytes;
    }
    this.visited = visited;
    return this.close(chain, count, readCount, bytes, readBytes);
  }
}
