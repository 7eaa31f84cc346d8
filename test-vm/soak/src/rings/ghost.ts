/** A second thread that writes into the ring at any moment, as another processor of the guest would. */
import { Worker } from 'node:worker_threads';
import type { RingPlace } from './hostile-memory.ts';

/** Words of the control block. */
export const STATE = 0;
export const MEMORY_FD = 1;
export const SEED = 2;
/** Size, desc, avail and used. */
export const PLACE = 3;
const WORDS = 7;

/** Values of STATE: waiting for work; told to begin; writing; told to end; told to leave. */
export const RESTING = 0;
export const CALLED = 1;
export const HAUNTING = 2;
export const DISMISSED = 3;
export const LEAVING = 4;

/** Longest wait for the thread, ms. */
const PATIENCE_MS = 20_000;

/** Starts and stops the thread; at rest it holds nothing of the memory. */
export class Ghost implements AsyncDisposable {
  readonly #control = new Int32Array(new SharedArrayBuffer(WORDS * 4));
  readonly #worker: Worker;
  readonly #ready: Promise<void>;

  constructor() {
    this.#worker = new Worker(new URL('./ghost-thread.ts', import.meta.url), { workerData: this.#control });
    this.#ready = new Promise((resolve, reject) => {
      this.#worker.once('message', () => resolve());
      this.#worker.once('error', reject);
    });
  }

  /** Comes when the thread has opened all that it keeps. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** The thread writes from now on. @param fd - of the memory that holds the ring */
  begin(fd: number, place: RingPlace, seed: number): void {
    this.#control[MEMORY_FD] = fd;
    this.#control[SEED] = seed;
    this.#control.set([place.size, place.desc, place.avail, place.used], PLACE);
    this.#tell(CALLED, HAUNTING);
  }

  /** The thread has let go of the memory when this returns. */
  end(): void {
    this.#tell(DISMISSED, RESTING);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone = new Promise((resolve) => this.#worker.once('exit', resolve));
    Atomics.store(this.#control, STATE, LEAVING);
    Atomics.notify(this.#control, STATE);
    await gone;
  }

  #tell(order: number, answer: number): void {
    Atomics.store(this.#control, STATE, order);
    Atomics.notify(this.#control, STATE);
    Atomics.wait(this.#control, STATE, order, PATIENCE_MS);
    const state = Atomics.load(this.#control, STATE);
    if (state !== answer) throw new Error(`the second thread is in state ${state}, wanted ${answer}`);
  }
}
