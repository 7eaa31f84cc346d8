/**
 * Locks that are waited for. The kernel tells nobody but a blocked thread that a lock became free, and a thread for each
 * would let a guest block them all; so they are tried again: at once when this share gives one up, else after pauses that grow.
 */
import { type Operation, PENDING } from '@oriel/fuse';
import { EAGAIN } from '@oriel/sys';

/** Calls back once, after a number of milliseconds, unless it is disposed before. */
export type RetryTimer = (delayMs: number, callback: () => void) => Disposable;

/** The longest pause between two tries, ms. */
const LONGEST_MS = 64;
/** Locks that are waited for at one time. */
const MAX_WAITERS = 1024;

/** Takes a lock. @returns -EAGAIN: not yet; PENDING: `done` will be told */
export type Attempt = (done: (result: number) => void) => number;

interface Waiter {
  readonly op: Operation;
  readonly attempt: Attempt;
  /** Its outcome is still to come. */
  trying: boolean;
}

/** First come, first tried. */
export class LockWaiters {
  readonly #timer: RetryTimer | undefined;
  #waiters: Waiter[] = [];
  #armed: Disposable | null = null;
  #pauseMs = 1;

  constructor(timer: RetryTimer | undefined) {
    this.#timer = timer;
  }

  /** @returns false when nobody can wait here */
  add(op: Operation, attempt: Attempt): boolean {
    if (this.#timer === undefined || this.#waiters.length >= MAX_WAITERS) {
      return false;
    }
    this.#waiters.push({ op, attempt, trying: false });
    this.#pauseMs = 1;
    this.#arm();
    return true;
  }

  cancel(op: Operation): boolean {
    const left = this.#waiters.filter((waiter) => waiter.op !== op);
    const found = left.length < this.#waiters.length;
    this.#waiters = left;
    return found;
  }

  /** A lock was given up here. */
  wake(): void {
    if (this.#waiters.length > 0) {
      this.#pauseMs = 1;
      this.#arm();
    }
  }

  /** Completes all that wait. */
  end(result: number): void {
    this.#armed?.[Symbol.dispose]();
    this.#armed = null;
    for (const { op } of this.#waiters.splice(0)) {
      op.complete(result);
    }
  }

  #tried(waiter: Waiter, result: number): void {
    waiter.trying = false;
    const at = this.#waiters.indexOf(waiter);
    // One that is gone was cancelled, and its operation may be another's.
    if (result !== -EAGAIN && at >= 0) {
      this.#waiters.splice(at, 1);
      waiter.op.complete(result);
    }
  }

  #arm(): void {
    this.#armed?.[Symbol.dispose]();
    this.#armed = this.#timer!(this.#pauseMs, () => {
      this.#armed = null;
      this.#tryAll();
    });
  }

  #tryAll(): void {
    for (const waiter of [...this.#waiters]) {
      if (waiter.trying || !this.#waiters.includes(waiter)) continue;
      waiter.trying = true;
      const result = waiter.attempt((later) => this.#tried(waiter, later));
      if (result !== PENDING) this.#tried(waiter, result);
    }
    if (this.#waiters.length > 0) {
      this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_MS);
      this.#arm();
    }
  }
}
