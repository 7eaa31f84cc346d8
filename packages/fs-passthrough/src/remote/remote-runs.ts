/**
 * Requests on mounts that may not answer: on file systems that are not known to be local, helper threads make every system call
 * that could ask a server, so that the loop goes on with other requests meanwhile.
 */
import { PENDING } from '@oriel/fuse';
import { EAGAIN, EIO, type Offload, SysError, type SysFd, type SysMem } from '@oriel/sys';
import { type Lane, Lanes } from './lanes.ts';
import { DIVERGED, REFUSED, RemoteRun, type RunPlan, type RunSupport, SUSPENDED } from './remote-run.ts';
import { RunMemory } from './run-memory.ts';

/** How often a run is begun anew because of others. */
const MOST_TRIES = 3;

/** Runs of one mount at one time: each has memory and a few descriptors. Further ones are begun when others end. */
const LANE_RUNS = 16;

/** Memory of runs that is kept for the next. */
const MOST_IDLE = 64;

/** The runs of a share. */
export class RemoteRuns implements Disposable {
  /** The run whose code is being executed; null: calls are made here. */
  active: RemoteRun | null = null;
  readonly #support: RunSupport;
  readonly #lanes: Lanes | null;
  /** Memory of runs that ended. */
  readonly #idle: RunMemory[] = [];
  readonly #runs = new Set<RemoteRun>();
  /** How often the share's tables were emptied. */
  #epoch = 0;
  #disposed = false;
  /** A request is executed here though it may wait, since nobody else can. */
  #inLoop = false;

  /** @param offload - null: every call is made in the loop */
  constructor(sys: { mem: SysMem; fd: SysFd }, offload: Offload | null) {
    this.#support = { mem: sys.mem, fd: sys.fd };
    this.#lanes =
      offload === null
        ? null
        : new Lanes(offload, {
            returned: (run, result) => this.#returned(run, result),
            isWanted: (run) => this.#isWanted(run),
            dropped: (run) => this.#abort(run),
            moved: (lane) => this.#beginLater(lane),
          });
  }

  /** Calls may wait elsewhere. */
  get enabled(): boolean {
    return this.#lanes !== null && !this.#inLoop;
  }

  /** Runs not yet ended. */
  get pending(): number {
    return this.#runs.size + (this.#lanes?.later ?? 0);
  }

  /**
   * Runs a request. Its operation is completed when it did not end at once.
   * @param lane - any number that names the mount
   * @returns the result, or PENDING
   * @throws SysError ENOMEM
   */
  start(lane: number, plan: RunPlan): number {
    const place = this.#lanes!.of(lane);
    if (place.runs < LANE_RUNS) {
      return this.#begin(place, plan);
    }
    place.later.push({ plan, epoch: this.#epoch });
    return PENDING;
  }

  #begin(lane: Lane, plan: RunPlan): number {
    const memory = this.#idle.pop() ?? new RunMemory(this.#support.mem);
    const run = new RemoteRun(plan, lane, this.#epoch, memory, this.#support);
    this.#runs.add(run);
    lane.runs++;
    return this.#execute(run);
  }

  /** Executes a request here though it may wait. */
  inLoop(code: () => number): number {
    this.#inLoop = true;
    try {
      return code();
    } finally {
      this.#inLoop = false;
    }
  }

  /**
   * A request that waits is not to be completed, and may be made anew later.
   * @returns false when it does not wait here, or has done something that is not to be done twice
   */
  cancelRequest(op: RunPlan['op']): boolean {
    if (this.#lanes?.forget(op)) return true;
    for (const run of this.#runs) {
      // Operations are used again: one that was cancelled may be another's by now.
      if (run.cancelled || run.plan.op !== op) continue;
      if (!run.repeatable) return false;
      run.cancelled = true;
      return true;
    }
    return false;
  }

  /** What a run asked before is not what there is now, since another request came in between. */
  #startAgain(run: RemoteRun): number {
    const { plan, lane, repeatable } = run;
    const { tries = 0 } = plan;
    if (!repeatable || tries >= MOST_TRIES) {
      this.#end(run, false);
      return -EIO;
    }
    const left = run.takeMade();
    this.#release(run, false);
    return this.#begin(lane, { ...plan, tries: tries + 1, left });
  }

  /** Closes a descriptor of an open file on a mount, which may take long. */
  close(lane: number, fd: number): void {
    const elsewhere = this.#lanes !== null && !this.#disposed && this.#lanes.of(lane).close(fd);
    if (!elsewhere) this.#support.fd.close(fd);
  }

  /** Makes calls here, in the middle of a run: such as never wait, and are not made again when the run's code is. */
  here(make: () => number): number {
    const { active } = this;
    this.active = null;
    try {
      return make();
    } finally {
      this.active = active;
    }
  }

  /** The share's tables were emptied: what began before ends with EIO, and leaves nothing behind. */
  cancel(): void {
    this.#epoch++;
  }

  /** Ends what no helper thread has begun. What one is at ends by itself, into nothing. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.cancel();
    this.#lanes?.close();
    for (const memory of this.#idle.splice(0)) memory[Symbol.dispose]();
  }

  #execute(run: RemoteRun): number {
    run.rewind();
    this.active = run;
    let result: number;
    try {
      result = run.code();
    } catch (left) {
      if (left === SUSPENDED) return PENDING;
      this.active = null;
      if (left === DIVERGED) return this.#startAgain(run);
      if (left === REFUSED) return this.#executeHere(run);
      this.#end(run, false);
      if (left instanceof SysError) return -left.errno;
      throw left;
    } finally {
      this.active = null;
    }
    this.#end(run, true);
    return result;
  }

  /** What waited already cannot be waited for here. */
  #executeHere(run: RemoteRun): number {
    const { isNew, plan } = run;
    this.#end(run, false);
    return isNew ? this.inLoop(plan.code) : -EAGAIN;
  }

  #returned(run: RemoteRun, result: number): void {
    run.returned(result);
    if (!this.#isWanted(run)) {
      this.#abort(run);
      return;
    }
    const outcome = this.#execute(run);
    if (outcome !== PENDING) run.plan.op.complete(outcome);
  }

  #isWanted(run: RemoteRun): boolean {
    return !run.cancelled && run.epoch === this.#epoch;
  }

  #abort(run: RemoteRun): void {
    this.#end(run, false);
    if (!run.cancelled) run.plan.op.complete(-EIO);
  }

  /** Begins requests that waited for their turn. */
  #beginLater(lane: Lane): void {
    while (lane.runs < LANE_RUNS && lane.later.length > 0) {
      const { plan, epoch } = lane.later.shift()!;
      const outcome = epoch === this.#epoch ? this.#begin(lane, plan) : -EIO;
      if (outcome === PENDING) continue;
      if (epoch !== this.#epoch) plan.unpin?.();
      plan.op.complete(outcome);
    }
  }

  #end(run: RemoteRun, done: boolean): void {
    this.#release(run, done);
    run.plan.unpin?.();
  }

  /** Ends what is the run's alone: its request may go on in another. */
  #release(run: RemoteRun, done: boolean): void {
    this.#runs.delete(run);
    run.lane.runs--;
    run.end(done);
    if (this.#disposed || this.#idle.length >= MOST_IDLE) run.memory[Symbol.dispose]();
    else this.#idle.push(run.memory);
  }
}
