/**
 * Who may write into the channel ring: one message for each fence of it that waits, from those that have something, in turns.
 * What finds no fence stays where it is: in the host's socket or pipe.
 */
import { EINVAL } from '@oriel/sys';
import type { Ring } from './ring.ts';

/** Something that tells the guest of what happens on the host. */
export interface EventSource {
  /** Writes one message into the ring, or nothing. @returns bytes of the message at the start of the scratch memory; 0: nothing */
  compose(ring: Ring): number;
  /** The message is in the ring. */
  delivered?(): void;
}

export class Deliveries {
  readonly #fences: (() => void)[] = [];
  /** In the order of their turns. */
  readonly #ready = new Set<EventSource>();
  readonly #onBroken: (error: number) => void;
  #ring: Ring | null = null;
  #running = true;
  #busy = false;

  /** @param onBroken - the ring cannot be written: a negative errno */
  constructor(onBroken: (error: number) => void) {
    this.#onBroken = onBroken;
  }

  /** Where messages go from now on. */
  open(ring: Ring): void {
    this.#ring = ring;
    this.#pump();
  }

  /** A fence of the channel ring. */
  fence(done: () => void): void {
    this.#fences.push(done);
    this.#pump();
  }

  /** A source may have something. */
  ready(source: EventSource): void {
    this.#ready.add(source);
    this.#pump();
  }

  forget(source: EventSource): void {
    this.#ready.delete(source);
  }

  suspend(): void {
    this.#running = false;
  }

  resume(): void {
    this.#running = true;
    this.#pump();
  }

  /** The ring is lost: all fences are reached, and nothing is written any more. */
  close(): void {
    this.#ring = null;
    this.#ready.clear();
    for (const done of this.#fences.splice(0)) done();
  }

  #pump(): void {
    if (this.#busy) return;
    this.#busy = true;
    while (this.#running && this.#ring !== null && this.#fences.length > 0 && this.#ready.size > 0) {
      const [source] = this.#ready;
      this.#deliver(source!, this.#ring);
    }
    this.#busy = false;
  }

  #deliver(source: EventSource, ring: Ring): void {
    this.#ready.delete(source);
    const len = ring.isLost ? 0 : source.compose(ring);
    if (len === 0 && !ring.isLost) return;
    const error = len === 0 ? -EINVAL : ring.write(len);
    if (error !== 0) {
      this.#onBroken(error);
      return;
    }
    this.#ready.add(source);
    source.delivered?.();
    this.#fences.shift()?.();
  }
}
