/** One caller of unmap, waiting for several mappings to go. */
import type { Done } from './region.ts';

/** Calls `done` once, when every mapping it waits for is gone, or earlier when it is ended. */
export class UnmapWait {
  #left: number;
  #error = 0;
  #done: Done | null;

  constructor(mappings: number, done: Done) {
    this.#left = mappings;
    this.#done = done;
  }

  /** One mapping is gone; the first error is the one that `done` gets. */
  settled(error: number): void {
    if (this.#error === 0) this.#error = error;
    this.#left -= 1;
    if (this.#left === 0) this.end(this.#error);
  }

  /** Ends the wait now. */
  end(error: number): void {
    const done = this.#done;
    this.#done = null;
    done?.(error);
  }
}
