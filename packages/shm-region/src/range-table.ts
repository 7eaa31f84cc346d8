/** Ranges that do not overlap, in order of offset: what the ledger and the window keep their mappings in. */
import type { Range } from './range.ts';

/** A sorted table. Look-ups cost log n; insertion and removal move the entries behind, which is cheap at a few thousand. */
export class RangeTable<T extends Range> {
  readonly #items: T[] = [];

  /** In order of offset. */
  get items(): readonly T[] {
    return this.#items;
  }

  get size(): number {
    return this.#items.length;
  }

  /** The index of the first range that ends after `offset`; `size` when there is none. */
  indexFrom(offset: number): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const item = this.#items[middle]!;
      if (item.shmOffset + item.len > offset) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  overlaps(offset: number, len: number): boolean {
    const item = this.#items[this.indexFrom(offset)];
    return item !== undefined && item.shmOffset < offset + len;
  }

  /** The range that is exactly this one, or null. */
  exact(offset: number, len: number): T | null {
    const item = this.#items[this.indexFrom(offset)];
    return item !== undefined && item.shmOffset === offset && item.len === len ? item : null;
  }

  /** Adds a range; the caller has checked that it overlaps none. */
  insert(item: T): void {
    this.#items.splice(this.indexFrom(item.shmOffset), 0, item);
  }

  /** Removes a range that is in the table. */
  remove(item: T): void {
    this.#items.splice(this.indexFrom(item.shmOffset), 1);
  }

  clear(): void {
    this.#items.length = 0;
  }
}
