/**
 * Rings that stop when every request of theirs is completed. A disabled ring of a device that drains stays with it: whether
 * GET_VRING_BASE wants the rest completed is known only when it comes.
 */
import type { BackendHandler } from './handler.ts';
import type { Ring } from './ring.ts';

/** A ring that takes no more chains. */
export interface Drain {
  done: boolean;
  whenDone: (() => void) | null;
}

/** Asks the device for drains. */
export class RingDrains {
  readonly #handler: BackendHandler;
  readonly #onStopping: () => void;

  /** @param onStopping - a ring is about to stop */
  constructor(handler: BackendHandler, onStopping: () => void) {
    this.#handler = handler;
    this.#onStopping = onStopping;
  }

  /** The device drains its rings. */
  get served(): boolean {
    return this.#handler.drainRing !== undefined;
  }

  /** The ring, which runs, takes no more chains from now on. */
  begin(ring: Ring): void {
    if (ring.drain !== null) {
      return;
    }
    this.#onStopping();
    const drain: Drain = { done: false, whenDone: null };
    ring.drain = drain;
    this.#handler.drainRing!(ring.index, () => {
      // A ring that was stopped otherwise meanwhile has another drain, or none.
      if (ring.drain === drain && !drain.done) {
        drain.done = true;
        drain.whenDone?.();
      }
    });
  }

  /** Calls back when nothing of the ring is out, at once where that is so. */
  whenDone(ring: Ring, then: () => void): void {
    this.begin(ring);
    if (ring.drain === null || ring.drain.done) {
      then();
    } else {
      ring.drain.whenDone = then;
    }
  }
}
