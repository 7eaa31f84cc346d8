/**
 * Numbers for things that a guest names: nodeids and file handles. The low 24 bits are a slot of a dense table, the rest
 * counts how often that slot was used, so a look-up is one comparison and no number is ever given twice.
 */
import { grown } from './columns.ts';

const SLOT_BITS = 24;
const SLOT_MASK = 2 ** SLOT_BITS - 1;
/** What one reuse of a slot adds to its id. */
const REUSE = 2 ** SLOT_BITS;
/** Uses of a slot that another table may tell of: as many are left. */
const MAX_USES = 2 ** 28;
const FIRST_CAPACITY = 64;
/** No id: ids are positive, and a free slot holds its next id negated. */
const NEVER = -1;

/** The most slots that a table can have. */
export const MAX_SLOTS = SLOT_MASK;

/** Ids that stand in memory which outlives the object, and how many slots were ever used. */
export interface IdColumn {
  readonly ids: Float64Array<ArrayBuffer>;
  readonly mark: Int32Array<ArrayBuffer>;
}

/** Hands out slots 1, 2, 3, ... and the ids that name them: of a slot's first use, the id is the slot's number. */
export class SlotIds {
  /** Most slots in use at one time. */
  readonly max: number;
  readonly #mark: Int32Array | null;
  #ids: Float64Array<ArrayBuffer>;
  #free = new Int32Array(FIRST_CAPACITY);
  #freeCount = 0;
  #next = 1;
  #used = 0;

  /**
   * @param max - most slots in use at one time, up to `MAX_SLOTS`
   * @param column - where the ids stand, if not in memory of this object: zeros, or what another object wrote
   */
  constructor(max: number, column?: IdColumn) {
    this.#mark = column?.mark ?? null;
    this.#ids = column?.ids ?? new Float64Array(FIRST_CAPACITY).fill(NEVER);
    this.max = column === undefined ? max : Math.min(max, column.ids.length - 1);
    if (column !== undefined) {
      this.#ids[0] = NEVER;
      this.#takeUp(column);
    }
  }

  /** Slots in use. */
  get used(): number {
    return this.#used;
  }

  get full(): boolean {
    return this.#used >= this.max;
  }

  /** Tables beside this one need so many elements. */
  get capacity(): number {
    return this.#ids.length;
  }

  /** Above every slot ever used. */
  get end(): number {
    return this.#next;
  }

  /** Takes a slot. @returns its number, or -1 when `max` are in use */
  take(): number {
    if (this.#used >= this.max) {
      return -1;
    }
    let slot: number;
    if (this.#freeCount > 0) {
      slot = this.#free[--this.#freeCount]!;
      this.#ids[slot] = -this.#ids[slot]!;
    } else {
      if (this.#next > MAX_SLOTS) {
        return -1;
      }
      slot = this.#next++;
      if (slot >= this.#ids.length) {
        this.#grow();
      }
      if (this.#mark !== null) {
        Atomics.store(this.#mark, 0, this.#next);
      }
      this.#ids[slot] = slot;
    }
    this.#used++;
    return slot;
  }

  /** The id of a slot in use. */
  idOf(slot: number): number {
    return this.#ids[slot]!;
  }

  /** True for a slot in use. */
  isUsed(slot: number): boolean {
    return this.#ids[slot]! > 0;
  }

  /** The slot that an id names. @returns -1 for an id that names nothing (now) */
  slotOf(id: number): number {
    const slot = id & SLOT_MASK;
    return slot < this.#next && this.#ids[slot] === id ? slot : -1;
  }

  /** Gives a slot back; its id is never used again. */
  release(slot: number): void {
    const next = this.#ids[slot]! + REUSE;
    this.#used--;
    if (next > Number.MAX_SAFE_INTEGER) {
      // The slot has no ids left; it stays unused for good.
      this.#ids[slot] = NEVER;
      return;
    }
    this.#ids[slot] = -next;
    this.#setFree(slot);
  }

  /** More uses than any slot had. */
  get nextUses(): number {
    let most = 0;
    for (let slot = 1; slot < this.#next; slot++) {
      most = Math.max(most, Math.floor(Math.abs(this.#ids[slot]!) / REUSE));
    }
    return most + 1;
  }

  /**
   * Makes room for the ids of another table: `place` puts them in, then `settle` frees what is left. Slots in use stay.
   * @param end - above each of its slots @param uses - more than any of its slots had
   * @returns false when so many slots or uses cannot be
   */
  prepare(end: number, uses: number): boolean {
    const fits = Number.isInteger(end) && end >= 1 && end <= this.max + 1;
    if (!fits || !(Number.isInteger(uses) && uses >= 1 && uses <= MAX_USES)) {
      return false;
    }
    while (this.#ids.length < end) {
      this.#grow();
    }
    const from = Math.max(end, this.#next);
    this.#freeCount = 0;
    for (let slot = 1; slot < from; slot++) {
      if (!(this.#ids[slot]! > 0)) {
        this.#ids[slot] = -(slot + uses * REUSE);
      }
    }
    this.#next = from;
    if (this.#mark !== null) {
      Atomics.store(this.#mark, 0, from);
    }
    return true;
  }

  /** Puts an id of another table in. @returns its slot, or -1 when it cannot be there, or the table is full */
  place(id: number): number {
    const slot = id & SLOT_MASK;
    if (!Number.isSafeInteger(id) || id <= 0 || this.#used >= this.max || !(slot > 0 && slot < this.#next)) {
      return -1;
    }
    if (this.#ids[slot]! > 0) {
      return -1;
    }
    this.#ids[slot] = id;
    this.#used++;
    return slot;
  }

  /** All ids of the other table are in. */
  settle(): void {
    this.#freeCount = 0;
    for (let slot = this.#next - 1; slot > 0; slot--) {
      if (this.#ids[slot]! < 0 && this.#ids[slot] !== NEVER) {
        this.#setFree(slot);
      }
    }
  }

  /** The id that the next `take` gives, or 0 when it gives none. */
  get nextId(): number {
    if (this.#used >= this.max) {
      return 0;
    }
    return this.#freeCount > 0 ? -this.#ids[this.#free[this.#freeCount - 1]!]! : this.#next;
  }

  #setFree(slot: number): void {
    if (this.#freeCount >= this.#free.length) {
      this.#free = grown(this.#free, this.#free.length * 2);
    }
    this.#free[this.#freeCount++] = slot;
  }

  /** Goes on where another object stopped. */
  #takeUp({ ids, mark }: IdColumn): void {
    const end = Math.min(Math.max(mark[0]!, 1), ids.length);
    this.#next = end;
    for (let slot = 1; slot < end; slot++) {
      const id = ids[slot]!;
      if (!Number.isSafeInteger(id) || (id !== NEVER && Math.abs(id) % REUSE !== slot)) {
        // Taken, and not yet written; or no id of ours.
        ids[slot] = -slot;
        this.#setFree(slot);
      } else if (id > 0) {
        this.#used++;
      } else if (id !== NEVER) {
        this.#setFree(slot);
      }
    }
  }

  #grow(): void {
    this.#ids = grown(this.#ids, this.#ids.length * 2, NEVER);
  }
}
