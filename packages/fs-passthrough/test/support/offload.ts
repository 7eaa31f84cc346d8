/** An `Offload` that does nothing by itself: the test says when a call ends, and how. */
import { type Offload, openSys, SYS } from '@oriel/sys';

/** A call that was handed over. */
export interface Job {
  readonly nr: number;
  readonly args: readonly number[];
  readonly done: (result: number) => void;
}

export class TestOffload implements Offload {
  /** Calls not yet ended, oldest first. */
  readonly jobs: Job[] = [];
  /** Refuse further ones. */
  full = false;

  get pending(): number {
    return this.jobs.length;
  }

  submit(nr: number, args: readonly number[], done: (result: number) => void): boolean {
    if (this.full) {
      return false;
    }
    if (nr === SYS.close) {
      // Nobody waits for these.
      done(openSys().fd.close(args[0]!));
    } else {
      this.jobs.push({ nr, args: [...args], done });
    }
    return true;
  }

  /** Ends the oldest call. */
  finish(result: number): void {
    this.jobs.shift()!.done(result);
  }

  drain(): void {
    while (this.jobs.length > 0) {
      this.finish(-4);
    }
  }

  [Symbol.dispose](): void {
    this.drain();
  }
}
