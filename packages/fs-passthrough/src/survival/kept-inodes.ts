/** Descriptors of inodes to which no file handle leads, kept in the store of a journal for a later process. */
import type { DescriptorStore } from '@oriel/fuse';
import type { Fd, SysFd } from '@oriel/sys';
import type { InodeRows } from '../inode-rows.ts';
import { keepFd } from './keep-fd.ts';

/** The kept descriptors by slot. */
export class KeptInodes {
  readonly #sys: SysFd;
  readonly #rows: InodeRows;
  readonly #slots = new Set<number>();
  /** null: nothing outlives the process. */
  #store: DescriptorStore | null = null;

  constructor(sys: SysFd, rows: InodeRows) {
    this.#sys = sys;
    this.#rows = rows;
  }

  /** What the store of before holds stays there. */
  useStore(store: DescriptorStore | null): void {
    this.#slots.clear();
    this.#store = store;
  }

  has(slot: number): boolean {
    return this.#slots.has(slot);
  }

  /** Keeps an inode's descriptor, which is lent. @returns false when it is not kept */
  keep(slot: number, fd: number): boolean {
    const kept = this.#store !== null && keepFd(this.#store, this.#sys, this.#name(slot), fd);
    if (kept) {
      this.#slots.add(slot);
    }
    return kept;
  }

  /** What a process before kept of an inode, given away; it stays in the store. */
  take(slot: number): Fd | null {
    const kept = this.#store?.take(this.#name(slot)) ?? null;
    if (kept !== null) {
      this.#slots.add(slot);
    }
    return kept;
  }

  /** An inode goes, and what is kept of it. */
  drop(slot: number): void {
    if (this.#slots.delete(slot)) {
      this.#store?.forget(this.#name(slot));
    }
  }

  #name(slot: number): string {
    return `inode-${this.#rows.nodeid(slot)}`;
  }
}
