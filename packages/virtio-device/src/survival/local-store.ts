/** A store that lives as long as this process: what comes back is a front-end. Also for tests, which play the restart. */
import { check, Fd, type SysFd } from '@oriel/sys';
import type { FdStore } from './fd-store.ts';

/** Holds duplicates. */
export class LocalStore implements FdStore, Disposable {
  readonly #sys: Pick<SysFd, 'close' | 'dup'>;
  readonly #held = new Map<string, Fd>();

  constructor(sys: Pick<SysFd, 'close' | 'dup'>) {
    this.#sys = sys;
  }

  get names(): readonly string[] {
    return [...this.#held.keys()];
  }

  has(name: string): boolean {
    return this.#held.has(name);
  }

  put(name: string, fd: number): boolean {
    const copy = this.#sys.dup(fd);
    if (copy < 0) {
      return false;
    }
    this.hold(name, new Fd(this.#sys, copy));
    return true;
  }

  /** As `put`, of a descriptor that is given away. */
  hold(name: string, fd: Fd): void {
    this.#held.get(name)?.close();
    this.#held.set(name, fd);
  }

  remove(name: string): void {
    this.#held.get(name)?.close();
    this.#held.delete(name);
  }

  take(name: string): Fd | null {
    const held = this.#held.get(name);
    return held === undefined ? null : new Fd(this.#sys, check(this.#sys.dup(held.fd), 'dup'));
  }

  /** Lets go of everything. */
  [Symbol.dispose](): void {
    for (const fd of this.#held.values()) {
      fd.close();
    }
    this.#held.clear();
  }
}
