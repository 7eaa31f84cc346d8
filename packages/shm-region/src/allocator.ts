/** Who chooses offsets in a region (a back-end, a driver) takes them from here. */
import { ShmRegionError } from './errors.ts';
import { checkSize, isPageRange, type Range } from './range.ts';
import { RangeTable } from './range-table.ts';

/** First-fit allocator of page-multiple ranges; neighbouring holes become one. */
export class RangeAllocator {
  /** Bytes. */
  readonly size: number;
  readonly pageSize: number;
  readonly #holes = new RangeTable<Range>();
  #free: number;

  /** @throws ShmRegionError ERR_SHM_SIZE unless `size` is a positive multiple of `pageSize` */
  constructor(size: number, pageSize: number) {
    checkSize('allocator', size, pageSize);
    this.size = size;
    this.pageSize = pageSize;
    this.#free = size;
    this.#holes.insert({ shmOffset: 0, len: size });
  }

  /** Bytes not allocated. */
  get free(): number {
    return this.#free;
  }

  /** Bytes of the largest hole: what one allocation of page alignment can get. */
  get largestHole(): number {
    let largest = 0;
    for (const hole of this.#holes.items) {
      largest = Math.max(largest, hole.len);
    }
    return largest;
  }

  /**
   * Takes the lowest range that fits.
   * @param len - bytes; a positive multiple of the page size
   * @param alignment - bytes; a positive multiple of the page size
   * @returns an offset, or -1 when no hole is large enough
   * @throws ShmRegionError ERR_SHM_SIZE for a length or an alignment that is not a multiple of the page size
   */
  allocate(len: number, alignment: number = this.pageSize): number {
    checkSize('allocation', len, this.pageSize);
    checkSize('alignment', alignment, this.pageSize);
    for (const hole of this.#holes.items) {
      const start = Math.ceil(hole.shmOffset / alignment) * alignment;
      const end = hole.shmOffset + hole.len;
      if (len <= end - start) {
        this.#holes.remove(hole);
        this.#addHole(hole.shmOffset, start);
        this.#addHole(start + len, end);
        this.#free -= len;
        return start;
      }
    }
    return -1;
  }

  /**
   * Gives a range back: one allocation, part of one, or several neighbours.
   * @throws ShmRegionError ERR_SHM_RANGE when any byte of it is not allocated; nothing is then released
   */
  release(offset: number, len: number): void {
    if (!isPageRange(offset, len, this.size, this.pageSize) || this.#holes.overlaps(offset, len)) {
      throw new ShmRegionError('ERR_SHM_RANGE', 'bug', `release of ${len} bytes at ${offset}: not allocated`);
    }
    let start = offset;
    let end = offset + len;
    const next = this.#holes.items[this.#holes.indexFrom(end)];
    const before = this.#holes.items[this.#holes.indexFrom(offset) - 1];
    if (next !== undefined && next.shmOffset === end) {
      end += next.len;
      this.#holes.remove(next);
    }
    if (before !== undefined && before.shmOffset + before.len === start) {
      start = before.shmOffset;
      this.#holes.remove(before);
    }
    this.#addHole(start, end);
    this.#free += len;
  }

  #addHole(start: number, end: number): void {
    if (start < end) {
      this.#holes.insert({ shmOffset: start, len: end - start });
    }
  }
}
