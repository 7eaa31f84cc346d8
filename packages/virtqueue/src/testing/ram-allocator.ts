/** Hands out parts of guest RAM: first fit over a sorted list of holes. */

interface Hole {
  start: number;
  end: number;
}

/** Buffers in a range of guest physical addresses. */
export class RamAllocator {
  readonly #holes: Hole[];
  readonly #sizes = new Map<number, number>();

  constructor(gpa: number, size: number) {
    this.#holes = [{ start: gpa, end: gpa + size }];
  }

  /** @returns the GPA of `len` bytes. @throws RangeError when no hole is long enough */
  allocate(len: number, align = 16): number {
    for (const hole of this.#holes) {
      const gpa = Math.ceil(hole.start / align) * align;
      if (gpa + len > hole.end) continue;
      const tail = { start: gpa + len, end: hole.end };
      const index = this.#holes.indexOf(hole);
      hole.end = gpa;
      const left = [hole, tail].filter((h) => h.end > h.start);
      this.#holes.splice(index, 1, ...left);
      // An empty buffer takes no room, and may share its address with the next one.
      if (len > 0) this.#sizes.set(gpa, len);
      return gpa;
    }
    throw new RangeError(`no ${len} bytes of guest RAM left`);
  }

  /** Gives a buffer back. */
  free(gpa: number): void {
    const len = this.#sizes.get(gpa);
    if (len === undefined) return;
    this.#sizes.delete(gpa);
    const after = this.#holes.findIndex((h) => h.start > gpa);
    const index = after < 0 ? this.#holes.length : after;
    this.#holes.splice(index, 0, { start: gpa, end: gpa + len });
    this.#join(index);
    this.#join(index - 1);
  }

  /** Joins the hole at `index` with the one behind it when they touch. */
  #join(index: number): void {
    const hole = this.#holes[index];
    const next = this.#holes[index + 1];
    if (hole === undefined || next === undefined || hole.end !== next.start) return;
    hole.end = next.end;
    this.#holes.splice(index + 1, 1);
  }
}
