/** Deferred calls, first in, first out. What runs may defer more; that waits for the next round, so nothing starves. */

/** The deferred calls of one loop. */
export class DeferQueue {
  #running: (() => void)[] = [];
  #at = 0;
  #waiting: (() => void)[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0 && this.#at === this.#running.length;
  }

  push(callback: () => void): void {
    this.#waiting.push(callback);
  }

  /** Runs what was there at the start, after what an exception kept from running. @returns how many ran */
  run(): number {
    let count = this.#runBatch();
    if (this.#waiting.length > 0) {
      const done = this.#running;
      this.#running = this.#waiting;
      this.#waiting = done;
      count += this.#runBatch();
    }
    return count;
  }

  clear(): void {
    this.#running.length = 0;
    this.#waiting.length = 0;
    this.#at = 0;
  }

  #runBatch(): number {
    const batch = this.#running;
    let count = 0;
    while (this.#at < batch.length) {
      const callback = batch[this.#at++]!;
      count++;
      callback();
    }
    batch.length = 0;
    this.#at = 0;
    return count;
  }
}
