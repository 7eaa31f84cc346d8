/** The numbered things of one context: the host counts from 2, guests choose numbers for pipes and sentinels. */
import type { Item } from './item.ts';

const FIRST_ID = 2;
const LAST_ID = 0xffff_fffe;

export class Items implements Disposable {
  readonly #items = new Map<number, Item>();
  #last = FIRST_ID - 1;

  get(id: number): Item | undefined {
    return this.#items.get(id);
  }

  has(id: number): boolean {
    return this.#items.has(id);
  }

  /** An id that was not given out before, or not for a very long time. */
  newId(): number {
    do {
      this.#last = this.#last >= LAST_ID ? FIRST_ID : this.#last + 1;
    } while (this.#items.has(this.#last));
    return this.#last;
  }

  /** @param item - given away; the id must be unused */
  add(id: number, item: Item): void {
    this.#items.set(id, item);
  }

  /** Takes it out without disposing it. */
  take(id: number): Item | undefined {
    const item = this.#items.get(id);
    this.#items.delete(id);
    return item;
  }

  /** Ends it. */
  remove(id: number): void {
    this.take(id)?.[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const item of this.#items.values()) item[Symbol.dispose]();
    this.#items.clear();
  }
}
