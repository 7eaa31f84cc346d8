/**
 * Requests that the window keeps: mapping requests on their way, replies that wait until the guest can reach what they tell
 * of, and requests that are held while their file is grown. And what becomes of them when the rings stop.
 */
import type { Operation } from '@oriel/fuse';
import { EAGAIN, ECANCELED, EIO } from '@oriel/sys';
import { HANDLES_CONTENT, traitsOf } from './opcodes.ts';

/** What the window asks of its session. */
export interface DaxSession {
  resume(op: Operation): void;
  reply(op: Operation): void;
  replyError(op: Operation, error: number): void;
  operations(): readonly Operation[];
}

/** Maps or unmaps; calls back once, inside the call or later, with 0 or a negative errno. `isLive`: its outcome is still wanted. */
export type MappingWork = (done: (error: number) => void, isLive: () => boolean) => void;

interface Kept {
  readonly op: Operation;
  /** `reply`: the request is done, and its reply is kept. */
  readonly kind: 'mapping' | 'reply';
  readonly work: MappingWork;
  /** The session has its answer: what comes of the work is void. */
  answered: boolean;
  /** The session abandoned it: what comes of the work frees the operation and no more. */
  abandoned: boolean;
}

export class KeptOperations {
  readonly #kept = new Map<Operation, Kept>();
  /** Work that was cancelled since the rings are stopping: done again when they start. */
  readonly #cancelled: Kept[] = [];
  readonly #held: Operation[] = [];
  #session: DaxSession | null = null;
  #stopping: () => boolean = () => false;
  #resuming = false;

  /** @param stopping - whether some queues are stopped: only then the others stop too, or those start, and work is kept */
  bind(session: DaxSession, stopping: () => boolean): void {
    this.#session = session;
    this.#stopping = stopping;
  }

  /** Answers a SETUPMAPPING or REMOVEMAPPING with what comes of `work`; its hook returns PENDING. */
  runMapping(op: Operation, work: MappingWork): void {
    this.#run({ op, kind: 'mapping', work, answered: false, abandoned: false });
  }

  /** Keeps the reply to a request until `work` is done; `beforeReply` returns true. */
  keepReply(op: Operation, work: MappingWork): void {
    this.#run({ op, kind: 'reply', work, answered: false, abandoned: false });
  }

  /** Keeps a request that is not to be executed yet; `hold` returns true. */
  hold(op: Operation): void {
    this.#held.push(op);
  }

  /** Answers a request with an error instead of executing it; `hold` returns true. */
  refuse(op: Operation, error: number): void {
    this.#session!.replyError(op, error);
  }

  /** Executes held requests as long as `may` says so: one of them can have a file grown again. */
  resumeHeld(may: () => boolean): void {
    if (this.#resuming) return;
    this.#resuming = true;
    while (this.#held.length > 0 && may()) this.#session!.resume(this.#held.shift()!);
    this.#resuming = false;
  }

  /** True while the Filesystem reads or changes the content of the inode, in a helper thread. */
  underWay(nodeid: number): boolean {
    return this.#session!.operations().some(
      (op) =>
        (op.nodeid === nodeid || op.targetNodeid === nodeid) &&
        (traitsOf(op.opcode) & HANDLES_CONTENT) !== 0 &&
        !this.#kept.has(op) &&
        !this.#held.includes(op),
    );
  }

  /** True while nothing of a request was done that doing it again would repeat. */
  repeatable(op: Operation): boolean {
    return this.#kept.get(op)?.kind === 'mapping' || this.#held.includes(op);
  }

  /** The session has abandoned an operation, whose chain comes again at the next start. */
  abandoned(op: Operation): void {
    const kept = this.#kept.get(op);
    if (kept === undefined) {
      const at = this.#held.indexOf(op);
      if (at < 0) return;
      this.#held.splice(at, 1);
      this.#session!.resume(op);
      return;
    }
    kept.abandoned = true;
    if (this.#uncancel(kept)) this.#finish(kept, -EAGAIN);
  }

  /** The rings stop: a request that is done gets its reply. @returns false when none of this one is kept here */
  answer(op: Operation): boolean {
    const kept = this.#kept.get(op);
    if (kept === undefined) return false;
    this.#uncancel(kept);
    kept.answered = true;
    this.#kept.delete(op);
    this.#session!.reply(op);
    return true;
  }

  /** The rings start: work that was cancelled is done again. */
  restart(): void {
    for (const kept of this.#cancelled.splice(0)) this.#work(kept);
  }

  /** The session abandoned every operation. */
  abandonAll(): void {
    for (const kept of this.#kept.values()) kept.abandoned = true;
    for (const kept of this.#cancelled.splice(0)) this.#finish(kept, -EIO);
    this.resumeHeld(() => true);
  }

  #run(kept: Kept): void {
    this.#kept.set(kept.op, kept);
    this.#work(kept);
  }

  #work(kept: Kept): void {
    const done = (error: number): void => {
      if (kept.answered) return;
      if (error === -ECANCELED && !kept.abandoned && this.#stopping()) this.#cancelled.push(kept);
      else this.#finish(kept, error === -ECANCELED ? -EIO : error);
    };
    kept.work(done, () => !kept.answered && !kept.abandoned);
  }

  #finish(kept: Kept, error: number): void {
    const { op, kind } = kept;
    this.#kept.delete(op);
    if (kind === 'mapping') op.complete(error);
    else if (error < 0) this.#session!.replyError(op, error);
    else this.#session!.reply(op);
  }

  /** @returns true when it was waiting to be done again */
  #uncancel(kept: Kept): boolean {
    const at = this.#cancelled.indexOf(kept);
    if (at >= 0) this.#cancelled.splice(at, 1);
    return at >= 0;
  }
}
