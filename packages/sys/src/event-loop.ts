/**
 * The loop in which a device lives: descriptors, timers, deferred work and pollers, all in one thread. Two drivers stand
 * behind the interface: `blocking` (epoll_wait in this thread) and `node` (one epoll descriptor under Node's own loop).
 */

/** Called with the EPOLL* bits that are ready. */
export type WatchHandler = (events: number) => void;

export interface Watch extends Disposable {
  readonly fd: number;
  /** Changes the EPOLL* bits waited for. */
  modify(events: number): void;
  /** Stops watching. The descriptor stays open: its owner closes it, afterwards. */
  [Symbol.dispose](): void;
}

export interface LoopTimer extends Disposable {
  /** Cancels the timer; harmless when it has fired. */
  [Symbol.dispose](): void;
}

export interface EventLoop extends Disposable {
  /** 'blocking' or 'node'; Promises run only under 'node'. */
  readonly driver: 'blocking' | 'node';
  /** Watches a descriptor. @throws SysError (EPERM for a regular file, EBADF, ENOSPC) */
  watch(fd: number, events: number, handler: WatchHandler): Watch;
  /** Calls back once after at least `delayMs` (a whole number of ms, 0 allowed). */
  timer(delayMs: number, callback: () => void): LoopTimer;
  /** Calls back after the events at hand, before the loop sleeps: what a microtask would be. */
  defer(callback: () => void): void;
  /**
   * Adds a poller, called while the loop spins before it sleeps; it returns true when it found work. Its last call before
   * a sleep gets `sleeping` true, with or without a spin before it: there a queue asks for kicks again and looks once more.
   * The spin adapts: it is kept only as long as it finds work, and ends by `spinNs` without any.
   * @param waits - true while what comes next comes by a descriptor: then there is no spin
   */
  addPoller(poll: (sleeping: boolean) => boolean, waits?: () => boolean): Disposable;
  /** Runs until `stop()`; a handler's exception ends the run and is thrown here. `node` driver: returns at once. */
  run(): void;
  /** Handles what is ready, waiting at most `timeoutMs` for the first event (blocking driver). @returns events handled */
  runOnce(timeoutMs: number): number;
  /** Makes `run` return after the events at hand. */
  stop(): void;
  /** An eventfd that any thread may write to end `run` (`stop()` from outside). */
  readonly stopFd: number;
}

export interface LoopOptions {
  /** Longest spin before sleeping, ns; 0 (the default) never spins. */
  readonly spinNs?: number;
  /** Where a handler's exception goes; without it the exception ends `run`. */
  readonly onError?: (error: unknown) => void;
}

/** Whose rights a job of a helper thread has; -1: as the thread itself. Only root can take others'. */
export interface JobRights {
  /** Effective ids, both or none; with `dropFsetid` the file's group alone. */
  readonly uid: number;
  readonly gid: number;
  /** One supplementary group. */
  readonly group: number;
  readonly umask: number;
  /** Without CAP_FSETID: the kernel clears set-user-ID and set-group-ID bits as it does for any user. */
  readonly dropFsetid: boolean;
}

/** Work that would block the loop, given to helper threads as raw system calls. Memory it touches must stay mapped. */
export interface Offload extends Disposable {
  /**
   * Starts system call `nr` with up to six arguments (addresses and integers, |x| < 2^53) in a helper thread; `done` gets
   * the result or a negative errno, on the loop.
   * @param rights - absent or null: the thread's own
   * @returns false when the queue is full: try again later
   */
  submit(nr: number, args: readonly number[], done: (result: number) => void, rights?: JobRights | null): boolean;
  /** Jobs not yet done. */
  readonly pending: number;
  /** Waits, blocking, until every job is done and its callback has run. */
  drain(): void;
}

/** An `Offload` that also tells when the system calls of a moment have returned. */
export interface HelperThreads extends Offload {
  /** As `drain`, but gives up after some milliseconds. @returns whether nothing is pending */
  drainFor(ms: number): boolean;
  /** Starts every helper thread that there may be, and waits until they are up: none starts later. @throws Error when one does not */
  startAll(): void;
  /** Makes a call in every helper thread that was started, and waits until all have. @returns 0, or a negative errno of one */
  inEach(nr: number, args: readonly number[]): number;
  /** Calls back, on the loop, when every job now pending is done; at once when none is. For memory that is to be unmapped. */
  afterPending(callback: () => void): void;
}
