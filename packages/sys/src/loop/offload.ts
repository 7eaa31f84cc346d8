/**
 * System calls that would block, made by helper threads. A helper sleeps in Atomics.wait, never in a system call of its
 * own, so an idle one cannot keep the process from exiting.
 */
import { Worker } from 'node:worker_threads';
import { EPOLLET, EPOLLIN } from '../constants/event.ts';
import type { EventLoop, HelperThreads, JobRights, LoopTimer, Watch } from '../event-loop.ts';
import { Fd } from '../fd.ts';
import { check } from '../sys-error.ts';
import type { LoopSys } from './loop-core.ts';
import type { HelperData } from './offload-helper.ts';
import { JOB_ARGS, OffloadRing } from './offload-ring.ts';

export interface OffloadOptions {
  /** Most helper threads; 1 by default. The first starts with the first job, another when all are busy. */
  readonly helpers?: number;
  /** Most jobs at a time, a power of two; 64 by default. */
  readonly depth?: number;
  /**
   * Calls may never return: `dispose` does not wait for those that have not, which keep their thread and an eventfd until the process
   * ends; their callbacks do not run. Default false.
   */
  readonly endless?: boolean;
  /** Called by Node's own loop each time a helper thread has ended. */
  readonly onHelperExit?: () => void;
}

/** A helper that is not up by then never will be: a broken installation. */
const START_LIMIT_MS = 30_000;

/** Who waits for the jobs that were pending when he asked. */
interface Wait {
  readonly jobs: Set<number>;
  readonly callback: () => void;
}

class WorkerOffload implements HelperThreads {
  readonly #ring: OffloadRing;
  readonly #sys: LoopSys;
  readonly #done: Fd;
  readonly #watch: Watch;
  readonly #maxHelpers: number;
  readonly #onHelperExit: (() => void) | undefined;
  readonly #callbacks: (((result: number) => void) | undefined)[];
  readonly #free: number[] = [];
  #waits: Wait[] = [];
  readonly #loop: EventLoop;
  #startCheck: LoopTimer | undefined;
  readonly #endless: boolean;
  #helpers = 0;
  #pending = 0;
  #closed = false;

  constructor(sys: LoopSys, loop: EventLoop, options: OffloadOptions) {
    const { helpers = 1, depth = 64 } = options;
    if (!(Number.isInteger(helpers) && helpers >= 1)) {
      throw new RangeError(`helpers must be 1 or more, got ${helpers}`);
    }
    if (!(Number.isInteger(depth) && depth >= 1 && (depth & (depth - 1)) === 0)) {
      throw new RangeError(`depth must be a power of two, got ${depth}`);
    }
    this.#sys = sys;
    this.#loop = loop;
    this.#maxHelpers = helpers;
    this.#onHelperExit = options.onHelperExit;
    this.#endless = options.endless ?? false;
    this.#ring = new OffloadRing(depth);
    this.#callbacks = new Array(depth).fill(undefined);
    for (let job = depth - 1; job >= 0; job--) {
      this.#free.push(job);
    }
    this.#done = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
    try {
      // Edge-triggered: each write reports again, so nobody needs to read the count.
      this.#watch = loop.watch(this.#done.fd, EPOLLIN | EPOLLET, () => this.#reap());
    } catch (error) {
      this.#done.close();
      throw error;
    }
  }

  get pending(): number {
    return this.#pending;
  }

  submit(
    nr: number,
    args: readonly number[],
    done: (result: number) => void,
    rights: JobRights | null = null,
  ): boolean {
    if (this.#closed) {
      throw new RangeError('the offload was disposed');
    }
    if (args.length > JOB_ARGS || !Number.isSafeInteger(nr) || !args.every(Number.isSafeInteger)) {
      throw new RangeError(`a job is a number and up to ${JOB_ARGS} safe integers`);
    }
    const job = this.#free.at(-1);
    if (job === undefined) {
      return false;
    }
    if (this.#helpers < this.#maxHelpers && this.#helpers <= this.#pending) {
      this.#startHelper();
    }
    this.#free.pop();
    this.#callbacks[job] = done;
    this.#pending++;
    this.#ring.submit(job, nr, args, rights);
    return true;
  }

  afterPending(callback: () => void): void {
    const jobs = new Set(this.#callbacks.keys().filter((job) => this.#callbacks[job] !== undefined));
    if (jobs.size === 0) {
      callback();
    } else {
      this.#waits.push({ jobs, callback });
    }
  }

  drain(): void {
    const limit = this.#sys.loop.nowNs() + START_LIMIT_MS * 1e6;
    while (this.#pending > 0) {
      this.#reap();
      if (this.#pending === 0 || this.#ring.waitFinished(START_LIMIT_MS)) {
        continue;
      }
      if (this.#sys.loop.nowNs() > limit) {
        this.#assertUp();
      }
    }
  }

  drainFor(ms: number): boolean {
    const limit = this.#sys.loop.nowNs() + ms * 1e6;
    for (this.#reap(); this.#pending > 0; this.#reap()) {
      const leftMs = (limit - this.#sys.loop.nowNs()) / 1e6;
      if (leftMs <= 0) {
        return false;
      }
      this.#ring.waitFinished(leftMs);
    }
    return true;
  }

  startAll(): void {
    while (this.#helpers < this.#maxHelpers) {
      this.#startHelper();
    }
    if (!this.#ring.waitUp(this.#helpers, START_LIMIT_MS)) {
      throw new Error('an offload helper did not come up');
    }
    this.#startCheck?.[Symbol.dispose]();
    this.#startCheck = undefined;
  }

  inEach(nr: number, args: readonly number[]): number {
    if (!this.#ring.waitUp(this.#helpers, START_LIMIT_MS)) {
      throw new Error('an offload helper did not come up');
    }
    return this.#ring.each(nr, args);
  }

  [Symbol.dispose](): void {
    if (this.#closed) {
      return;
    }
    const left = this.#endless && !this.drainFor(0);
    this.#closed = true;
    try {
      if (!left) this.drain();
    } finally {
      this.#ring.stop();
      this.#startCheck?.[Symbol.dispose]();
      this.#watch[Symbol.dispose]();
      // A helper writes to it when its call returns after all: nothing else may have the number by then.
      if (!left) {
        this.#ring.waitQuiet();
        this.#done.close();
      }
    }
  }

  #reap(): void {
    for (let job = this.#ring.reap(); job >= 0; job = this.#ring.reap()) {
      const callback = this.#callbacks[job]!;
      const result = this.#ring.resultOf(job);
      this.#callbacks[job] = undefined;
      this.#free.push(job);
      this.#pending--;
      this.#startCheck?.[Symbol.dispose]();
      this.#startCheck = undefined;
      // Before the callback, which may submit under the same number.
      this.#settle(job);
      callback(result);
    }
  }

  #settle(job: number): void {
    const waits = this.#waits.filter(({ jobs }) => jobs.delete(job) && jobs.size === 0);
    if (waits.length > 0) {
      this.#waits = this.#waits.filter((wait) => !waits.includes(wait));
      for (const { callback } of waits) {
        callback();
      }
    }
  }

  #assertUp(): void {
    if (this.#ring.helpersUp === 0) {
      throw new Error('no offload helper came up');
    }
  }

  #startHelper(): void {
    // A thread that cannot start says so on Node's own loop, which may never turn: look for ourselves.
    this.#startCheck ??= this.#loop.timer(START_LIMIT_MS, () => this.#assertUp());
    // The helper stands beside this file, as source and as built.
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const data: HelperData = { depth: this.#ring.depth, buffer: this.#ring.buffer, doneFd: this.#done.fd };
    const worker = new Worker(new URL(`./offload-helper.${extension}`, import.meta.url), {
      name: 'oriel-offload',
      workerData: data,
      // The flags of this process (--input-type, --import) are not meant for the helper, and some would break it.
      execArgv: [],
    });
    if (this.#onHelperExit !== undefined) {
      worker.on('exit', this.#onHelperExit);
    }
    worker.unref();
    this.#helpers++;
  }
}

/**
 * Opens an offload whose results arrive on `loop`. No thread starts before the first job; `dispose` drains, then ends
 * the helpers. A call that never returns keeps the process from exiting by itself, and is for an `endless` offload only.
 * @throws SysError EMFILE; RangeError for bad options
 */
export function openOffload(sys: LoopSys, loop: EventLoop, options: OffloadOptions = {}): HelperThreads {
  return new WorkerOffload(sys, loop, options);
}
