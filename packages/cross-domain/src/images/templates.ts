/**
 * What GET_IMAGE_REQUIREMENTS promised: blob ids that stand for memory of a size. A guest keeps them for the life of its context
 * and makes many blobs of one. Pictures of one size share an id, since only the size counts.
 */

/** More sizes than a program has; the oldest go first. */
const MOST = 65536;

/** Templates of one context. */
export class Templates {
  readonly #sizes = new Map<number, number>();
  readonly #ids = new Map<number, number>();

  /** The id for a size in bytes. @param newId - makes one */
  idFor(size: number, newId: () => number): number {
    const known = this.#ids.get(size);
    if (known !== undefined) return known;
    if (this.#sizes.size >= MOST) this.#forgetOldest();
    const id = newId();
    this.#ids.set(size, id);
    this.#sizes.set(id, size);
    return id;
  }

  /** Bytes; undefined for an id that is no template. */
  sizeOf(id: number): number | undefined {
    return this.#sizes.get(id);
  }

  #forgetOldest(): void {
    for (const [id, size] of this.#sizes) {
      this.#sizes.delete(id);
      this.#ids.delete(size);
      return;
    }
  }
}
