/**
 * Fence timelines (VIRTIO 1.3, 5.7.6.7): one for all requests without a ring, and one for each (context, ring). Completing
 * a fence completes the older ones of its timeline in the driver's eyes, so replies of one timeline go in order; those of
 * different ones in any order.
 */
import type { Request } from '../control/request.ts';

/** Fenced requests whose reply waits. */
export class Timelines {
  readonly #waiting = new Map<number, Request[]>();
  readonly #answer: (request: Request) => void;

  /** @param answer - sends the reply of a request */
  constructor(answer: (request: Request) => void) {
    this.#answer = answer;
  }

  /** Requests that wait, in all timelines. */
  get size(): number {
    let size = 0;
    for (const line of this.#waiting.values()) size += line.length;
    return size;
  }

  /** A fenced request was handled. It is answered now if it is over and nothing of its timeline is before it. */
  add(request: Request): void {
    const line = this.#waiting.get(request.timeline);
    if (line !== undefined) line.push(request);
    else if (request.over) this.#answer(request);
    else this.#waiting.set(request.timeline, [request]);
  }

  /** A request of `add` is over now: it and those behind it may be due. */
  advance(request: Request): void {
    const key = request.timeline;
    const line = this.#waiting.get(key);
    if (line !== undefined) this.#advance(key, line);
  }

  /** A request will get no answer: what waits behind it does not wait for it. */
  remove(request: Request): void {
    const key = request.timeline;
    const line = this.#waiting.get(key);
    const at = line?.indexOf(request) ?? -1;
    if (line === undefined || at < 0) return;
    line.splice(at, 1);
    this.#advance(key, line);
  }

  /** Forgets all: a reset. */
  clear(): void {
    this.#waiting.clear();
  }

  #advance(key: number, line: Request[]): void {
    while (line.length > 0 && line[0]!.over) this.#answer(line.shift()!);
    if (line.length === 0 && this.#waiting.get(key) === line) this.#waiting.delete(key);
  }
}
