/**
 * The memory that a loop and its offload helpers share: jobs, a ring of submitted ones, a ring of finished ones. One
 * thread submits and reaps; any number of helpers take and finish. All words are Int32 under Atomics, so a helper that
 * has nothing to do sleeps in Atomics.wait: unlike a thread in a system call, that can be ended at any time.
 */
import type { JobRights } from '../event-loop.ts';

/** Arguments of a system call. */
export const JOB_ARGS = 6;
const RESULT_AT = JOB_ARGS + 1;
/** Whose rights: user, group, supplementary group, umask, whether CAP_FSETID is given up; -1: as the helper. */
const RIGHTS_AT = RESULT_AT + 1;
const RIGHTS = 5;
/** Doubles of a job: number, arguments, result, rights. */
const JOB_WORDS = RIGHTS_AT + RIGHTS;
const AS_HELPER = -1;

const SUBMITTED = 0;
const TAKEN = 1;
const FINISHED = 2;
const STOP = 3;
/** Changes with every submission and with the stop: what idle helpers sleep on. */
const WAKE = 4;
const HELPERS_UP = 5;
/** Jobs that a helper may still signal for. */
const BUSY = 6;
/** Counts the calls that every helper is to make. */
const EACH = 7;
/** Helpers that have not made the latest of them. */
const EACH_LEFT = 8;
/** The first error among its results, negative. */
const EACH_ERROR = 9;
const CONTROL_WORDS = 10;

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
  /** The latest call of all that this helper has made. */
  #each = 0;

  /** @param depth - how many jobs there may be, a power of two */
  constructor(depth: number, buffer: SharedArrayBuffer = OffloadRing.allocate(depth)) {
    this.buffer = buffer;
    this.depth = depth;
    const jobBytes = (depth + 1) * JOB_WORDS * 8;
    this.#jobs = new Float64Array(buffer, 0, (depth + 1) * JOB_WORDS);
    this.#control = new Int32Array(buffer, jobBytes, CONTROL_WORDS);
    this.#submitRing = new Int32Array(buffer, jobBytes + CONTROL_WORDS * 4, depth);
    this.#finishRing = new Int32Array(buffer, jobBytes + (CONTROL_WORDS + depth) * 4, depth);
  }

  static allocate(depth: number): SharedArrayBuffer {
    // One job more: that of every helper.
    return new SharedArrayBuffer((depth + 1) * JOB_WORDS * 8 + (CONTROL_WORDS + 2 * depth) * 4);
  }

  // --- the submitting side ---

  /** Fills job `job`, which must be free, and wakes a helper. */
  submit(job: number, nr: number, args: readonly number[], rights: JobRights | null): void {
    this.#put(job, nr, args, rights);
    const tail = Atomics.load(this.#control, SUBMITTED);
    Atomics.store(this.#submitRing, tail & (this.depth - 1), job + 1);
    Atomics.store(this.#control, SUBMITTED, (tail + 1) | 0);
    Atomics.add(this.#control, WAKE, 1);
    Atomics.notify(this.#control, WAKE, 1);
  }

  /** Has every helper that is up make a call, and waits until they have. @returns 0, or a negative errno of one */
  each(nr: number, args: readonly number[]): number {
    const control = this.#control;
    this.#put(this.depth, nr, args, null);
    Atomics.store(control, EACH_ERROR, 0);
    Atomics.store(control, EACH_LEFT, this.helpersUp);
    Atomics.add(control, EACH, 1);
    Atomics.add(control, WAKE, 1);
    Atomics.notify(control, WAKE);
    for (let left = Atomics.load(control, EACH_LEFT); left > 0; left = Atomics.load(control, EACH_LEFT)) {
      Atomics.wait(control, EACH_LEFT, left);
    }
    return Atomics.load(control, EACH_ERROR);
  }

  #put(job: number, nr: number, args: readonly number[], rights: JobRights | null): void {
    const base = job * JOB_WORDS;
    this.#jobs[base] = nr;
    for (let index = 0; index < JOB_ARGS; index++) {
      this.#jobs[base + 1 + index] = index < args.length ? args[index]! : 0;
    }
    this.#putRights(base + RIGHTS_AT, rights);
  }

  #putRights(at: number, rights: JobRights | null): void {
    this.#jobs[at] = rights?.uid ?? AS_HELPER;
    this.#jobs[at + 1] = rights?.gid ?? AS_HELPER;
    this.#jobs[at + 2] = rights?.group ?? AS_HELPER;
    this.#jobs[at + 3] = rights?.umask ?? AS_HELPER;
    this.#jobs[at + 4] = rights?.dropFsetid === true ? 1 : AS_HELPER;
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

  /** Sleeps until so many helpers have started. @returns false when `timeoutMs` passed */
  waitUp(helpers: number, timeoutMs: number): boolean {
    for (let up = this.helpersUp; up < helpers; up = this.helpersUp) {
      if (Atomics.wait(this.#control, HELPERS_UP, up, timeoutMs) === 'timed-out') {
        return false;
      }
    }
    return true;
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
    this.#each = Atomics.load(this.#control, EACH);
    Atomics.add(this.#control, HELPERS_UP, 1);
    Atomics.notify(this.#control, HELPERS_UP);
  }

  /**
   * Takes a job, sleeping until there is one; -1 when it is time to end. `release` follows its `finish`; of job `depth`, which every
   * helper has, `finishEach` is the end.
   */
  take(): number {
    for (;;) {
      // Before all that a wake-up may be about.
      const wake = Atomics.load(this.#control, WAKE);
      const each = Atomics.load(this.#control, EACH);
      if (each !== this.#each) {
        this.#each = each;
        return this.depth;
      }
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

  /** Whose rights a job wants; null: the helper's own. */
  jobRights(job: number): JobRights | null {
    const jobs = this.#jobs;
    const at = job * JOB_WORDS + RIGHTS_AT;
    const uid = jobs[at]!;
    const dropFsetid = jobs[at + 4] === 1;
    return uid === AS_HELPER && !dropFsetid
      ? null
      : { uid, gid: jobs[at + 1]!, group: jobs[at + 2]!, umask: jobs[at + 3]!, dropFsetid };
  }

  finish(job: number, result: number): void {
    this.#jobs[job * JOB_WORDS + RESULT_AT] = result;
    const at = Atomics.add(this.#control, FINISHED, 1) & (this.depth - 1);
    Atomics.store(this.#finishRing, at, job + 1);
    Atomics.notify(this.#finishRing, at);
  }

  /** This helper has made the call of all. */
  finishEach(result: number): void {
    if (result < 0) {
      Atomics.store(this.#control, EACH_ERROR, result);
    }
    Atomics.sub(this.#control, EACH_LEFT, 1);
    Atomics.notify(this.#control, EACH_LEFT);
  }

  /** Says that the loop was told of a finished job. */
  release(): void {
    if (Atomics.sub(this.#control, BUSY, 1) === 1) {
      Atomics.notify(this.#control, BUSY);
    }
  }
}
