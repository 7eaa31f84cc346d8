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
    if (this.#error === 0) {
      this.#error = error;
    }
    this.#left -= 1;
    if (this.#left === 0) {
      this.end(this.#error);
    }
  }

  /** Ends the wait now. */
  end(error: number): void {
    const done = this.#done;
    this.#done = null;
    done?.(error);
  }
}

/** A mapping that callers wait to be rid of. */
interface Awaitable {
  waits: UnmapWait[];
}

/** Who waits for any of these mappings, each once; they no longer hear of them. */
export function waitsFor(records: readonly Awaitable[]): ReadonlySet<UnmapWait> {
  const waits = new Set<UnmapWait>();
  for (const record of records) {
    for (const wait of record.waits) {
      waits.add(wait);
    }
    record.waits = [];
  }
  return waits;
}

/** Tells who waits for these mappings that they are gone. */
export function settle(records: readonly Awaitable[], error: number): void {
  for (const record of records) {
    const { waits } = record;
    record.waits = [];
    for (const wait of waits) {
      wait.settled(error);
    }
  }
}
