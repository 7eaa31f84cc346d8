/** Files of owners, whose every page says whose it is. */
import { check, Fd, MFD_CLOEXEC, type Sys } from '@oriel/sys';

/** Pages of a file. */
export const FILE_PAGES = 12;

/** What the first word of a file page holds. */
export function stamp(owner: number, page: number): number {
  return owner * 1000 + page + 1;
}

/** Owners, each with its file. */
export class OwnerFiles implements Disposable {
  readonly #sys: Sys;
  readonly #pageSize: number;
  readonly #owners = new Map<number, { readonly owner: object; readonly fd: Fd }>();

  constructor(sys: Sys, pageSize: number) {
    this.#sys = sys;
    this.#pageSize = pageSize;
  }

  get alive(): readonly number[] {
    return [...this.#owners.keys()];
  }

  create(id: number): void {
    const { mem, fd, file } = this.#sys;
    const made = new Fd(fd, check(mem.memfdCreate(`owner-${id}`, MFD_CLOEXEC), 'memfd_create'));
    check(file.ftruncate(made.fd, FILE_PAGES * this.#pageSize), 'ftruncate');
    const word = new Uint32Array(1);
    for (let page = 0; page < FILE_PAGES; page += 1) {
      word[0] = stamp(id, page);
      check(fd.pwrite(made.fd, word, 4, page * this.#pageSize), 'pwrite');
    }
    this.#owners.set(id, { owner: { id }, fd: made });
  }

  /** @returns undefined for one who is dead */
  get(id: number): { readonly owner: object; readonly fd: Fd } | undefined {
    return this.#owners.get(id);
  }

  /** An owner dies; its descriptor must no longer be lent. */
  remove(id: number): void {
    this.#owners.get(id)?.fd.close();
    this.#owners.delete(id);
  }

  [Symbol.dispose](): void {
    for (const id of this.alive) {
      this.remove(id);
    }
  }
}
