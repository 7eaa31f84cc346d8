/** The timed loop: keeps a number of operations under way, and sleeps when nothing is left to take. */
import { readCpuNs } from '../cpu.ts';
import { median, percentile } from '../median.ts';
import type { Message } from './message.ts';
import type { RequestQueue } from './request-queue.ts';
import { type Prepared, SLOTS, type Work } from './work.ts';

/** What one run measured. */
export interface RunResult {
  readonly ops: number;
  readonly seconds: number;
  /** Median time from the start of an operation to its end. */
  readonly p50Us: number;
  /** The time that 99 of 100 operations do not exceed. */
  readonly p99Us: number;
  /** CPU time that the back-end took; -1 where its process is not known. */
  readonly backendCpuUs: number;
  /** CPU time that the driver took. */
  readonly driverCpuUs: number;
  readonly kicks: number;
  /** Times that the driver slept. */
  readonly sleeps: number;
}

/** Latencies that are kept of one run. */
const MAX_SAMPLES = 1 << 16;

/** What a runner needs of a session. */
export interface Lane<M extends Prepared = Message> {
  /** All that are looked at, in turn. */
  readonly queues: readonly RequestQueue<M>[];
  /** Sleeps until the back-end calls. */
  sleep(): void;
}

/** Runs workloads at one session. */
export class Runner<M extends Prepared = Message> {
  readonly #session: Lane<M>;
  readonly #startedMs = new Float64Array(SLOTS);
  readonly #samplesMs = new Float64Array(MAX_SAMPLES);
  #sampleCount = 0;
  #untilSample = 1;
  #active = 0;
  #ops = 0;
  #deadlineMs = 0;
  #stopping = false;

  constructor(session: Lane<M>) {
    this.#session = session;
  }

  /** The workload's verification pass. @throws BenchError ERR_BENCH_ANSWER */
  verify(work: Work<M>): void {
    work.verify((slot) => {
      this.#prepare(0);
      this.#begin(work, slot);
      this.#drain(work);
    });
  }

  /**
   * Keeps `depth` operations under way for `seconds`, then lets them end; the time counts to the last answer.
   * @param backendPid - process whose CPU time is measured; 0: none
   * @throws BenchError ERR_BENCH_ANSWER for the first wrong answer
   */
  run(work: Work<M>, depth: number, seconds: number, backendPid: number): RunResult {
    const kicks = this.#kicks;
    const backendNs = backendPid === 0 ? 0 : readCpuNs(backendPid);
    const driver = process.cpuUsage();
    const startMs = performance.now();
    this.#prepare(startMs + seconds * 1000);
    for (let slot = 0; slot < depth; slot++) this.#begin(work, slot);
    const sleeps = this.#drain(work);
    const elapsedMs = performance.now() - startMs;
    const { user, system } = process.cpuUsage(driver);
    const samplesMs = this.#samplesMs.subarray(0, Math.min(this.#sampleCount, MAX_SAMPLES));
    return {
      ops: this.#ops,
      seconds: elapsedMs / 1000,
      p50Us: median(samplesMs) * 1000,
      p99Us: percentile(samplesMs, 99) * 1000,
      backendCpuUs: backendPid === 0 ? -1 : (readCpuNs(backendPid) - backendNs) / 1000,
      driverCpuUs: user + system,
      kicks: this.#kicks - kicks,
      sleeps,
    };
  }

  get #kicks(): number {
    return this.#session.queues.reduce((sum, queue) => sum + queue.kicks, 0);
  }

  #prepare(deadlineMs: number): void {
    this.#startedMs.fill(0);
    this.#sampleCount = 0;
    this.#untilSample = 1;
    this.#active = 0;
    this.#ops = 0;
    this.#deadlineMs = deadlineMs;
    this.#stopping = deadlineMs === 0;
  }

  #begin(work: Work<M>, slot: number): void {
    if (--this.#untilSample === 0) {
      this.#untilSample = work.sampleEvery;
      this.#startedMs[slot] = performance.now();
    }
    this.#active++;
    const message = work.begin(slot);
    message.queue.ring.addPrepared(message.head);
  }

  /** Goes on until no operation is under way. @returns how often it slept */
  #drain(work: Work<M>): number {
    const { queues } = this.#session;
    let sleeps = 0;
    for (;;) {
      for (let i = 0; i < queues.length; i++) queues[i]!.ring.publish();
      let taken = false;
      for (let i = 0; i < queues.length; i++) {
        const { ring, messages } = queues[i]!;
        while (ring.takeUsed()) {
          taken = true;
          this.#take(work, messages[ring.usedHead]!, ring.usedLen);
        }
      }
      if (taken) continue;
      if (this.#active === 0) return sleeps;
      let more = false;
      for (let i = 0; i < queues.length; i++) more = queues[i]!.ring.enableCalls() || more;
      if (!more) {
        sleeps++;
        this.#session.sleep();
      }
    }
  }

  #take(work: Work<M>, message: M, used: number): void {
    const next = work.answered(message, used);
    if (next !== null) {
      next.queue.ring.addPrepared(next.head);
      return;
    }
    const { slot } = message;
    this.#ops++;
    this.#active--;
    const started = this.#startedMs[slot]!;
    if (started !== 0) {
      const now = performance.now();
      this.#samplesMs[this.#sampleCount % MAX_SAMPLES] = now - started;
      this.#sampleCount++;
      this.#startedMs[slot] = 0;
      if (now >= this.#deadlineMs) this.#stopping = true;
    }
    if (!this.#stopping) this.#begin(work, slot);
  }
}
