/**
 * Calls of helper threads, by the mount that they ask: a mount that does not answer holds but a few threads, and those of others
 * stay free.
 */
import { type JobRights, type Offload, SYS } from '@oriel/sys';
import type { RemoteRun, RunPlan } from './remote-run.ts';

/** Calls of one mount under way at one time. */
const LANE_CALLS = 6;

/** What a helper thread is to do. */
interface Job {
  /** Null: nobody waits for it. */
  readonly run: RemoteRun | null;
  readonly nr: number;
  readonly args: readonly number[];
  /** Whose it is; the run has others by the time that it is begun. */
  readonly rights: JobRights | null;
}

/** Who is told of calls. */
export interface LaneEvents {
  returned(run: RemoteRun, result: number): void;
  /** Whether a call that has waited is still to be made. */
  isWanted(run: RemoteRun): boolean;
  /** It is not, and was not made. */
  dropped(run: RemoteRun): void;
  /** Runs of the lane may have ended. */
  moved(lane: Lane): void;
}

/** The calls of one mount, in the order of their coming. */
export class Lane {
  readonly key: number;
  readonly waiting: Job[] = [];
  /** Requests that are not begun yet. */
  readonly later: { readonly plan: RunPlan; readonly epoch: number }[] = [];
  /** Runs that have begun and not ended. */
  runs = 0;
  busy = 0;
  readonly #lanes: Lanes;

  constructor(key: number, lanes: Lanes) {
    this.key = key;
    this.#lanes = lanes;
  }

  get idle(): boolean {
    return this.busy === 0 && this.runs === 0 && this.waiting.length === 0 && this.later.length === 0;
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
  readonly #events: LaneEvents;
  readonly #lanes = new Map<number, Lane>();
  /** Calls of all lanes that are under way: when one has returned, what waits is tried again. */
  #busy = 0;
  #closed = false;

  constructor(offload: Offload, events: LaneEvents) {
    this.#offload = offload;
    this.#events = events;
  }

  /** Requests that are not begun yet. */
  get later(): number {
    let count = 0;
    for (const lane of this.#lanes.values()) count += lane.later.length;
    return count;
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
    if (this.#closed) {
      return false;
    }
    if (lane.waiting.length > 0 || lane.busy >= LANE_CALLS || !this.#begin(lane, job)) {
      if (this.#busy === 0) {
        return false;
      }
      lane.waiting.push(job);
    }
    return true;
  }

  /** Takes a request out that is not begun yet. @returns false when there is none */
  forget(op: RunPlan['op']): boolean {
    for (const lane of this.#lanes.values()) {
      const at = lane.later.findIndex(({ plan }) => plan.op === op);
      if (at >= 0) {
        lane.later.splice(at, 1)[0]!.plan.unpin?.();
        return true;
      }
    }
    return false;
  }

  /** Nothing is begun any more, but that descriptors which wait to be closed are. */
  close(): void {
    this.#closed = true;
    for (const lane of this.#lanes.values()) {
      for (const job of lane.waiting.splice(0)) {
        if (job.run === null) lane.waiting.push(job);
        else this.#events.dropped(job.run);
      }
      this.#events.moved(lane);
    }
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
    if (job.run !== null && !this.#events.isWanted(job.run)) {
      this.#events.dropped(job.run);
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
    if (run !== null) this.#events.returned(run, result);
    this.#events.moved(lane);
    // Not before the run has gone on: its next call is in this lane.
    if (lane.idle) {
      this.#lanes.delete(lane.key);
    }
  }
}
