/** Requests whose system call a helper thread makes: a fixed number of them, each with its own iovec. */
import { Mapping, type Offload, type Sys } from '@oriel/sys';
import type { Chain } from '@oriel/virtqueue';

/** Fewer than an offload takes at a time. */
const MOST_JOBS = 32;
/** Pieces of one transfer: `seg_max` buffers, each of which may lie over the border of two regions. */
export const MOST_PIECES = 256;
const IOVEC_BYTES = 16;

/** One request under way; reused. */
export class Job {
  readonly addr: number;
  readonly iov: Uint32Array;
  /** Number and arguments of the system call. */
  readonly args = [0, 0, 0, 0, 0, 0];
  chain: Chain | null = null;
  /** The result that means success. */
  wanted = 0;
  /** For `Offload.submit`: made once, so that a request allocates nothing. */
  readonly done: (result: number) => void;

  constructor(addr: number, iov: Uint32Array, finish: (job: Job, result: number) => void) {
    this.addr = addr;
    this.iov = iov;
    this.done = (result) => finish(this, result);
  }
}

/** The jobs of a device. */
export class Jobs implements Disposable {
  readonly #sys: Sys;
  readonly #memory: Mapping;
  readonly #free: Job[] = [];
  #offload: Offload | null = null;

  /** @param finish - gets each job back, on the loop; it calls `release` */
  constructor(sys: Sys, finish: (job: Job, result: number) => void) {
    this.#sys = sys;
    const bytes = MOST_PIECES * IOVEC_BYTES;
    this.#memory = Mapping.anonymous(sys.mem, MOST_JOBS * bytes);
    const { u8, addr } = this.#memory;
    for (let at = 0; at < MOST_JOBS * bytes; at += bytes) {
      this.#free.push(new Job(addr + at, new Uint32Array(u8.buffer, at, bytes / 4), finish));
    }
  }

  /** Whom to ask: another one with each front-end. */
  use(offload: Offload | null): void {
    this.#offload = offload;
  }

  /** True when every job is under way: no chain may be taken. */
  get busy(): boolean {
    return this.#free.length === 0;
  }

  /** A job for a chain. @throws RangeError while `busy` */
  take(chain: Chain): Job {
    const job = this.#free.pop();
    if (job === undefined) {
      throw new RangeError('every job is under way');
    }
    job.chain = chain;
    return job;
  }

  /** @returns the chain of the job */
  release(job: Job): Chain {
    const chain = job.chain!;
    job.chain = null;
    this.#free.push(job);
    return chain;
  }

  /** Makes system call `nr` for a job. @returns false when no helper takes it: nothing happened */
  submit(job: Job, nr: number): boolean {
    return this.#offload!.submit(nr, job.args, job.done);
  }

  /** Waits until nothing is under way; every chain has been given to `finish` then. */
  drain(): void {
    if (this.#free.length < MOST_JOBS) {
      this.#offload?.drain();
    }
  }

  /** The bytes of a job's iovec are at `job.addr`: a read or write of the file, made at once. */
  transfer(job: Job, write: boolean, fd: number, pieces: number, offset: number, flags: number): number {
    const { file } = this.#sys;
    return write
      ? file.pwritev2(fd, job.addr, pieces, offset, flags)
      : file.preadv2(fd, job.addr, pieces, offset, flags);
  }

  [Symbol.dispose](): void {
    this.#memory[Symbol.dispose]();
  }
}
