/** The reads in a guest, as one table: what the probe `reads.c` does. */
import { DATA_BYTES, wordAt } from '../share.ts';
import { Offsets, type Pattern } from '../works/transfers.ts';

/** One row. */
export interface GuestWorkload {
  /** By read(2), or by looking at a mapping. */
  readonly way: 'read' | 'mmap';
  readonly pattern: Pattern;
  /** Bytes of a piece. */
  readonly bytes: number;
  /** Pieces of a run. */
  readonly count: number;
  /** Of a piece, every word this many bytes apart is looked at. */
  readonly stride: number;
}

const PAGE = 4096;
const MIB = 1 << 20;
/** Of the 16,384 pages of the file: a back-end that answers 4,000 a second is asked for two seconds. */
const RANDOM_PAGES = 8192;
/** A look at each cache line. */
const LINE = 64;

/** Workloads by name, in the order of the report. */
export const GUEST_WORKLOADS: Readonly<Record<string, GuestWorkload>> = {
  'guest-seq': { way: 'read', pattern: 'sequential', bytes: MIB, count: DATA_BYTES / MIB, stride: PAGE },
  'guest-rand': { way: 'read', pattern: 'random', bytes: PAGE, count: RANDOM_PAGES, stride: PAGE },
  'guest-mmap-seq': { way: 'mmap', pattern: 'sequential', bytes: MIB, count: DATA_BYTES / MIB, stride: LINE },
  'guest-mmap-rand': { way: 'mmap', pattern: 'random', bytes: PAGE, count: RANDOM_PAGES, stride: PAGE },
};

/** What the words that a run looks at come to, modulo 2^32. */
export function wantedSum({ pattern, bytes, count, stride }: GuestWorkload): number {
  const offsets = new Offsets({ bytes, pattern });
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const offset = offsets.next();
    for (let at = 0; at < bytes; at += stride) sum = (sum + wordAt(offset + at)) >>> 0;
  }
  return sum;
}
