/**
 * Calls of helper threads, by the mount that they ask: a mount that does not answer holds but a few threads, and those of others
 * stay free.
 */
import { EINTR, type JobRights, type Offload, SYS } from '@oriel/sys';
import type { RemoteRun } from './remote-run.ts';

/** Calls of one mount under way at one time. */
const LANE_CALLS = 8;

/** What a helper thread is to do. */
interface Job {
  /** Null: nobody waits for it. */
  readonly run: RemoteRun | null;
  readonly nr: number;
  readonly args: readonly number[];
  /** Whose it is; the run has others by the time that it is begun. */
  readonly rights: JobRights | null;
}

/** The calls of one mount, in the order of their coming. */
export class Lane {
  readonly key: number;
  readonly waiting: Job[] = [];
  busy = 0;
  readonly #lanes: Lanes;

  constructor(key: number, lanes: Lanes) {
    this.key = key;
    this.#lanes = lanes;
  }

  /** Has a call made; the run is told of its result. @returns false when the helper threads have no room, and will tell of none */
  make(run: RemoteRun, nr: number, args: readonly number[]): boolean {
    return this.#lanes.add(this, { run, nr, args, rights: run.rights });
  }

  /** Closes a descriptor. @returns as `make` */
  close(fd: number): boolean {
    return this.#lanes.add(this, { run: null, nr: SYS.close, args: [fd], rights: null });
  }
}

/** The lanes of a share. */
export class Lanes {
  readonly #offload: Offload;
  readonly #returned: (run: RemoteRun, result: number) => void;
  readonly #lanes = new Map<number, Lane>();
  /** Calls of all lanes that are under way: when one has returned, what waits is tried again. */
  #busy = 0;

  /** @param returned - called when a run's call has returned */
  constructor(offload: Offload, returned: (run: RemoteRun, result: number) => void) {
    this.#offload = offload;
    this.#returned = returned;
  }

  /** The lane of a mount, by any number that names it. */
  of(key: number): Lane {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new Lane(key, this);
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  /** Puts a job behind others of its lane. @returns false when it was refused */
  add(lane: Lane, job: Job): boolean {
    if (lane.waiting.length > 0 || lane.busy >= LANE_CALLS || !this.#begin(lane, job)) {
      if (this.#busy === 0) {
        return false;
      }
      lane.waiting.push(job);
    }
    return true;
  }

  /** Runs that wait are not begun any more; descriptors are still closed. @returns those runs */
  clear(): RemoteRun[] {
    const runs: RemoteRun[] = [];
    for (const lane of this.#lanes.values()) {
      for (const job of lane.waiting.splice(0)) {
        if (job.run === null) lane.waiting.push(job);
        else runs.push(job.run);
      }
    }
    return runs;
  }

  #begin(lane: Lane, job: Job): boolean {
    const { run, nr, args, rights } = job;
    lane.busy++;
    this.#busy++;
    const begun = this.#offload.submit(nr, args, (result) => this.#done(lane, run, result), rights);
    if (!begun) {
      lane.busy--;
      this.#busy--;
    }
    return begun;
  }

  /** @returns false when it was refused */
  #beginNext(lane: Lane): boolean {
    const job = lane.waiting[0]!;
    if (job.run?.cancelled) {
      this.#returned(job.run, -EINTR);
      return true;
    }
    return this.#begin(lane, job);
  }

  #done(lane: Lane, run: RemoteRun | null, result: number): void {
    lane.busy--;
    this.#busy--;
    for (const other of this.#lanes.values()) {
      while (other.waiting.length > 0 && other.busy < LANE_CALLS && this.#beginNext(other)) {
        other.waiting.shift();
      }
    }
    if (run !== null) this.#returned(run, result);
    // Not before the run has gone on: its next call is in this lane.
    if (lane.busy === 0 && lane.waiting.length === 0) {
      this.#lanes.delete(lane.key);
    }
  }
}
