/**
 * The memory that a loop and its offload helpers share: jobs, a ring of submitted ones, a ring of finished ones. One
 * thread submits and reaps; any number of helpers take and finish. All words are Int32 under Atomics, so a helper that
 * has nothing to do sleeps in Atomics.wait: unlike a thread in a system call, that can be ended at any time.
 */

/** Arguments of a system call. */
export const JOB_ARGS = 6;
/** Doubles of a job: number, arguments, result. */
const JOB_WORDS = JOB_ARGS + 2;
const RESULT_AT = JOB_ARGS + 1;

const SUBMITTED = 0;
const TAKEN = 1;
const FINISHED = 2;
const STOP = 3;
/** Changes with every submission and with the stop: what idle helpers sleep on. */
const WAKE = 4;
const HELPERS_UP = 5;
/** Jobs that a helper may still signal for. */
const BUSY = 6;
const CONTROL_WORDS = 8;

/** What a ring entry holds before it is written; job 0 is stored as 1. */
const UNWRITTEN = 0;

/** A view of the shared rings; each side makes its own over the same buffer. */
export class OffloadRing {
  readonly buffer: SharedArrayBuffer;
  readonly depth: number;
  readonly #control: Int32Array;
  readonly #submitRing: Int32Array;
  readonly #finishRing: Int32Array;
  readonly #jobs: Float64Array;
  #reaped = 0;

  /** @param depth - how many jobs there may be, a power of two */
  constructor(depth: number, buffer: SharedArrayBuffer = OffloadRing.allocate(depth)) {
    this.buffer = buffer;
    this.depth = depth;
    const jobBytes = depth * JOB_WORDS * 8;
    this.#jobs = new Float64Array(buffer, 0, depth * JOB_WORDS);
    this.#control = new Int32Array(buffer, jobBytes, CONTROL_WORDS);
    this.#submitRing = new Int32Array(buffer, jobBytes + CONTROL_WORDS * 4, depth);
    this.#finishRing = new Int32Array(buffer, jobBytes + (CONTROL_WORDS + depth) * 4, depth);
  }

  static allocate(depth: number): SharedArrayBuffer {
    return new SharedArrayBuffer(depth * JOB_WORDS * 8 + (CONTROL_WORDS + 2 * depth) * 4);
  }

  // --- the submitting side ---

  /** Fills job `job`, which must be free, and wakes a helper. */
  submit(job: number, nr: number, args: readonly number[]): void {
    const base = job * JOB_WORDS;
    this.#jobs[base] = nr;
    for (let index = 0; index < JOB_ARGS; index++) {
      this.#jobs[base + 1 + index] = index < args.length ? args[index]! : 0;
    }
    const tail = Atomics.load(this.#control, SUBMITTED);
    Atomics.store(this.#submitRing, tail & (this.depth - 1), job + 1);
    Atomics.store(this.#control, SUBMITTED, (tail + 1) | 0);
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE, 1);
  }

  /** Takes the next finished job out; -1 when there is none. */
  reap(): number {
    const at = this.#reaped & (this.depth - 1);
    const entry = Atomics.load(this.#finishRing, at);
    if (entry === UNWRITTEN) {
      return -1;
    }
    Atomics.store(this.#finishRing, at, UNWRITTEN);
    this.#reaped = (this.#reaped + 1) | 0;
    return entry - 1;
  }

  resultOf(job: number): number {
    return this.#jobs[job * JOB_WORDS + RESULT_AT]!;
  }

  /** Sleeps until the next job in line is finished. @returns false when `timeoutMs` passed */
  waitFinished(timeoutMs: number): boolean {
    const at = this.#reaped & (this.depth - 1);
    return Atomics.wait(this.#finishRing, at, UNWRITTEN, timeoutMs) !== 'timed-out';
  }

  /** Tells the helpers to end once the ring is empty. */
  stop(): void {
    Atomics.store(this.#control, STOP, 1);
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE);
  }

  /** Helpers that started. */
  get helpersUp(): number {
    return Atomics.load(this.#control, HELPERS_UP);
  }

  /** Sleeps until no helper will signal for a job any more. Every job must be finished. */
  waitQuiet(): void {
    for (let busy = Atomics.load(this.#control, BUSY); busy !== 0; busy = Atomics.load(this.#control, BUSY)) {
      Atomics.wait(this.#control, BUSY, busy);
    }
  }

  // --- the helpers' side ---

  helperUp(): void {
    Atomics.add(this.#control, HELPERS_UP, 1);
  }

  /** Takes a job, sleeping until there is one; -1 when it is time to end. `release` follows its `finish`. */
  take(): number {
    for (;;) {
      const wake = Atomics.load(this.#control, WAKE);
      const taken = Atomics.load(this.#control, TAKEN);
      if (taken === Atomics.load(this.#control, SUBMITTED)) {
        if (Atomics.load(this.#control, STOP) !== 0) {
          return -1;
        }
        Atomics.wait(this.#control, WAKE, wake);
        continue;
      }
      const entry = Atomics.load(this.#submitRing, taken & (this.depth - 1));
      if (Atomics.compareExchange(this.#control, TAKEN, taken, (taken + 1) | 0) === taken) {
        Atomics.add(this.#control, BUSY, 1);
        return entry - 1;
      }
    }
  }

  /** Word `index` of a job: 0 the system call's number, 1 to 6 its arguments. */
  jobWord(job: number, index: number): number {
    return this.#jobs[job * JOB_WORDS + index]!;
  }

  finish(job: number, result: number): void {
    this.#jobs[job * JOB_WORDS + RESULT_AT] = result;
    const at = Atomics.add(this.#control, FINISHED, 1) & (this.depth - 1);
    Atomics.store(this.#finishRing, at, job + 1);
    Atomics.notify(this.#finishRing, at);
  }

  /** Says that the loop was told of a finished job. */
  release(): void {
    if (Atomics.sub(this.#control, BUSY, 1) === 1) {
      Atomics.notify(this.#control, BUSY);
    }
  }
}
