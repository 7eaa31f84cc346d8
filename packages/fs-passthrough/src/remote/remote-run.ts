/**
 * A request whose system calls helper threads make. The request's code is the same as of any other: at a call that was not made
 * yet it is left by an exception, and when the call has returned it is run once more from its start, with what its calls so far
 * returned. So it must ask the same each time, and change nothing of the share before its last call (see `Share.commit`).
 *
 * Descriptors that its calls use are its own: those that it opened, copies of those of inodes, and those of handles that stay for
 * the time (see `HandlePins`). Others may come to stand for another file before the call is made.
 */
import type { Operation } from '@oriel/fuse';
import type { JobRights, SysFd, SysMem } from '@oriel/sys';
import { CALLS, type CallMemory, type CallShape } from './call-shapes.ts';
import type { Lane } from './lanes.ts';
import type { RunBytes, RunMemory } from './run-memory.ts';

/** Leaves the code of a request until its call has returned. */
export const SUSPENDED = new Error('a helper thread makes the call');
/** No helper thread takes the call. */
export const REFUSED = new Error('the helper threads have no room');
/** The code asked something else than before: what it works on went meanwhile. */
export const DIVERGED = new Error('what a request works on has changed');

/** NUL and all, the longest text of a call: a symbolic link's target. */
const TEXT_MAX = 4096;
/** O_DIRECT wants it so. */
const DATA_ALIGN = 4096;
/** Divides the size of a page. */
const TEXT_PART = 256;

/** A request to be run. */
export interface RunPlan {
  readonly op: Pick<Operation, 'complete'>;
  readonly code: () => number;
  /** Ends what keeps descriptors of handles open meanwhile. */
  readonly unpin: (() => void) | null;
  /** How often it was begun before. */
  readonly tries?: number;
  /** Descriptors that it opened then: they are closed first, since a lock of theirs would stand in the way of its own. */
  readonly left?: readonly number[];
}

/** What a run needs of its share. */
export interface RunSupport {
  readonly mem: SysMem;
  readonly fd: SysFd;
}

/** Memory of a call. */
interface StepMemory extends RunBytes {
  readonly of: CallMemory;
  /** Where the request's code wants it. */
  readonly to: number;
}

/** One call of a run. */
interface Step {
  readonly shape: CallShape;
  readonly args: readonly number[];
  readonly memory: readonly StepMemory[];
  readonly data: RunBytes | null;
  result: number;
}

/** One request under way. */
export class RemoteRun {
  readonly plan: RunPlan;
  readonly lane: Lane;
  /** How often the share's tables had been emptied at the start. */
  readonly epoch: number;
  readonly memory: RunMemory;
  /** Nobody waits for its end. */
  cancelled = false;
  /** Whose rights the next call has. */
  rights: JobRights | null = null;
  readonly #support: RunSupport;
  readonly #steps: Step[] = [];
  #next = 0;
  /** Copies of descriptors that others may close. */
  readonly #copies = new Map<number, { readonly fd: number; readonly onFile: boolean }>();
  /** Descriptors made by calls of this run and not closed by one. */
  readonly #made = new Set<number>();
  /** Those of them that its code, as it is executed now, has closed. They stay open, since the next time it may not. */
  readonly #dropped = new Set<number>();

  constructor(plan: RunPlan, lane: Lane, epoch: number, memory: RunMemory, support: RunSupport) {
    this.plan = plan;
    this.lane = lane;
    this.epoch = epoch;
    this.memory = memory;
    this.#support = support;
    for (const fd of plan.left ?? []) this.#made.add(fd);
  }

  /** What the request does. */
  code(): number {
    const { left, code } = this.plan;
    if (left !== undefined) {
      for (const fd of left) this.call(CALLS.close, [fd]);
    }
    return code();
  }

  /** The descriptors that its calls made, for the plan of the run that takes its place. */
  takeMade(): readonly number[] {
    const made = [...this.#made];
    this.#made.clear();
    return made;
  }

  /** The request's code begins again. */
  rewind(): void {
    this.#next = 0;
    this.#dropped.clear();
    this.rights = null;
  }

  /**
   * What a call returned.
   * @param fill - writes the data of a call that takes some, before it is made. @returns 0 or a negative errno
   * @throws SUSPENDED when the call is made only now; DIVERGED
   */
  call(shape: CallShape, args: readonly number[], fill?: (data: Uint8Array) => number): number {
    const step = this.#steps[this.#next];
    if (step !== undefined) {
      return this.#replay(step, shape, args);
    }
    const failed = this.#begin(shape, args, fill);
    if (failed === 0) {
      throw SUSPENDED;
    }
    this.#next++;
    return failed;
  }

  /** As `call`, of one that never waits and is made here. */
  callHere(shape: CallShape, args: readonly number[], make: () => number): number {
    const step = this.#steps[this.#next];
    if (step !== undefined) {
      return this.#replay(step, shape, args);
    }
    const result = make();
    this.#steps.push({ shape, args, memory: [], data: null, result });
    this.#next++;
    this.#note(shape, args, result);
    return result;
  }

  /** The data that the latest call was given or has brought. */
  get data(): Uint8Array {
    return this.#steps[this.#next - 1]!.data!.bytes;
  }

  /**
   * A copy of a descriptor, the same each time.
   * @param key - an inode's slot, or another number below 0
   * @param onFile - of an open file, whose closing may ask the mount
   * @returns it, or a negative errno
   */
  copyOf(key: number, ask: () => number, onFile = false): number {
    let copy = this.#copies.get(key);
    if (copy === undefined) {
      const fd = ask();
      copy = { fd: fd < 0 ? fd : this.#support.fd.dup(fd), onFile };
      this.#copies.set(key, copy);
    }
    return copy.fd;
  }

  /** No call was made yet. */
  get isNew(): boolean {
    return this.#steps.length === 0;
  }

  /** True while nothing was done that doing it again would do twice. */
  get repeatable(): boolean {
    return this.#steps.every(({ shape, args }) => shape.repeatable(args));
  }

  /** Closes a descriptor of the run at its end. */
  drop(fd: number): number {
    this.#dropped.add(fd);
    return 0;
  }

  /** The call that is under way has returned. */
  returned(result: number): void {
    const step = this.#steps.at(-1)!;
    step.result = result;
    this.#note(step.shape, step.args, result);
  }

  /**
   * The run is over.
   * @param done - its code came to its end, and has given away the descriptors that it asked for; else they are closed
   */
  end(done: boolean): void {
    const given = new Set<number>();
    for (const step of done ? this.#steps.slice(0, this.#next) : []) {
      if (step.shape.makesFd && !this.#dropped.has(step.result)) given.add(step.result);
    }
    for (const fd of this.#made) {
      if (!given.has(fd)) this.#close(fd);
    }
    for (const { fd, onFile } of this.#copies.values()) {
      if (fd >= 0 && onFile) this.#close(fd);
      else if (fd >= 0) this.#support.fd.close(fd);
    }
    this.memory.clear();
  }

  #close(fd: number): void {
    if (!this.lane.close(fd)) this.#support.fd.close(fd);
  }

  #replay(step: Step, shape: CallShape, args: readonly number[]): number {
    if (step.shape !== shape || args.some((arg, at) => arg !== step.args[at])) {
      throw DIVERGED;
    }
    this.#next++;
    for (const { of, to, addr, bytes } of step.memory) {
      if (of.writes !== undefined && step.result >= 0) {
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
        const len = Math.min(of.writes(args, step.result, view), bytes.length);
        if (len > 0) this.#support.mem.copyChecked(to, addr, len);
      }
    }
    return step.result;
  }

  #note(shape: CallShape, args: readonly number[], result: number): void {
    if (shape.makesFd && result >= 0) {
      this.#made.add(result);
    } else if (shape === CALLS.close) {
      this.#made.delete(args[0]!);
    }
  }

  /** @returns 0, or a negative errno when the call cannot be made: that is its result */
  #begin(shape: CallShape, args: readonly number[], fill: ((data: Uint8Array) => number) | undefined): number {
    const { memory } = this;
    const told = [...args];
    for (const at of shape.texts) told[at] = this.#text(args[at]!);
    const lent = shape.memory.map((of): StepMemory => {
      const piece = memory.take(of.room(args));
      const reads = of.reads?.(args) ?? 0;
      if (reads > 0) this.#support.mem.copyChecked(piece.addr, args[of.at]!, reads);
      told[of.at] = piece.addr;
      return { ...piece, of, to: args[of.at]! };
    });
    const data = shape.data === undefined ? null : memory.take(shape.data(args), DATA_ALIGN);
    const result = data === null ? 0 : (fill?.(data.bytes) ?? 0);
    this.#steps.push({ shape, args: [...args], memory: lent, data, result });
    if (result === 0) {
      const put = (bytes: Uint8Array): number => {
        const piece = memory.take(bytes.length);
        piece.bytes.set(bytes);
        return piece.addr;
      };
      if (!this.lane.make(this, shape.nr, shape.encode?.(told, put, data?.addr ?? 0) ?? told)) {
        this.#steps.pop();
        throw REFUSED;
      }
    }
    return result;
  }

  /** A copy of a text, which may have an end before the call is made: that of a request that is cancelled, or of scratch memory. */
  #text(addr: number): number {
    const { mem } = this.#support;
    const piece = this.memory.take(TEXT_MAX);
    let len = 0;
    while (len < TEXT_MAX) {
      // Never over the end of a page: what is behind it may not be memory.
      const part = Math.min(TEXT_PART - ((addr + len) % TEXT_PART), TEXT_MAX - len);
      mem.copyChecked(piece.addr + len, addr + len, part);
      if (piece.bytes.subarray(len, len + part).includes(0)) break;
      len += part;
    }
    piece.bytes[TEXT_MAX - 1] = 0;
    return piece.addr;
  }
}
