/** Timers in order of their deadline: a binary heap in which every timer knows its place, so that cancelling is cheap. */
import type { LoopTimer } from '../event-loop.ts';

const NOT_QUEUED = -1;

/** One timer; it is its own entry in the heap. */
class HeapTimer implements LoopTimer {
  readonly deadlineNs: number;
  /** Orders timers of one deadline by their making. */
  readonly order: number;
  readonly callback: () => void;
  readonly #heap: TimerHeap;
  place = NOT_QUEUED;

  constructor(heap: TimerHeap, deadlineNs: number, order: number, callback: () => void) {
    this.#heap = heap;
    this.deadlineNs = deadlineNs;
    this.order = order;
    this.callback = callback;
  }

  isBefore(other: HeapTimer): boolean {
    return this.deadlineNs < other.deadlineNs || (this.deadlineNs === other.deadlineNs && this.order < other.order);
  }

  [Symbol.dispose](): void {
    if (this.place !== NOT_QUEUED) {
      this.#heap.remove(this);
    }
  }
}

/** The timers of one loop. */
export class TimerHeap {
  readonly #heap: HeapTimer[] = [];
  #made = 0;

  get size(): number {
    return this.#heap.length;
  }

  /** When the first timer is due, or Infinity. */
  get nextDeadlineNs(): number {
    return this.#heap.length === 0 ? Number.POSITIVE_INFINITY : this.#heap[0]!.deadlineNs;
  }

  add(deadlineNs: number, callback: () => void): LoopTimer {
    const timer = new HeapTimer(this, deadlineNs, this.#made++, callback);
    this.#put(timer, this.#heap.length);
    this.#up(timer);
    return timer;
  }

  /** Runs what is due at `nowNs`; timers that callbacks add wait for the next call. @returns how many ran */
  run(nowNs: number): number {
    const end = this.#made;
    let count = 0;
    while (this.#heap.length > 0) {
      const first = this.#heap[0]!;
      if (first.deadlineNs > nowNs || first.order >= end) {
        break;
      }
      this.remove(first);
      count++;
      first.callback();
    }
    return count;
  }

  /** Takes a queued timer out. */
  remove(timer: HeapTimer): void {
    const place = timer.place;
    const last = this.#heap.pop()!;
    timer.place = NOT_QUEUED;
    if (last !== timer) {
      this.#put(last, place);
      this.#up(last);
      this.#down(last);
    }
  }

  clear(): void {
    for (const timer of this.#heap) {
      timer.place = NOT_QUEUED;
    }
    this.#heap.length = 0;
  }

  #put(timer: HeapTimer, place: number): void {
    this.#heap[place] = timer;
    timer.place = place;
  }

  #up(timer: HeapTimer): void {
    while (timer.place > 0) {
      const parent = this.#heap[(timer.place - 1) >> 1]!;
      if (!timer.isBefore(parent)) {
        return;
      }
      this.#swap(timer, parent);
    }
  }

  #down(timer: HeapTimer): void {
    for (;;) {
      const left = timer.place * 2 + 1;
      if (left >= this.#heap.length) {
        return;
      }
      let child = this.#heap[left]!;
      const right = this.#heap[left + 1];
      if (right?.isBefore(child)) {
        child = right;
      }
      if (!child.isBefore(timer)) {
        return;
      }
      this.#swap(timer, child);
    }
  }

  #swap(a: HeapTimer, b: HeapTimer): void {
    const place = a.place;
    this.#put(a, b.place);
    this.#put(b, place);
  }
}
