/** What the tables of things that a guest names have in common: which slots are in use, and the ids that name them. */
import type { SlotIds } from './slot-ids.ts';

/** A table by slot. */
export class SlotTable {
  protected ids: SlotIds;

  constructor(ids: SlotIds) {
    this.ids = ids;
  }

  /** Slots in use. */
  get size(): number {
    return this.ids.used;
  }

  /** Above every slot ever used. */
  get end(): number {
    return this.ids.end;
  }

  /** More uses than any slot had; looks at all. */
  get nextUses(): number {
    return this.ids.nextUses;
  }

  /** True for a slot in use. */
  isUsed(slot: number): boolean {
    return this.ids.isUsed(slot);
  }

  /** All rows of another share are in. */
  settle(): void {
    this.ids.settle();
  }
}
