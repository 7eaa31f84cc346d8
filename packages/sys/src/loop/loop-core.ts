/**
 * What both drivers share: one epoll descriptor, watches, timers, deferred calls, pollers, and the turn that serves
 * them. A turn can be left by an exception at any handler and taken up again: nothing at hand is lost, not even an
 * edge-triggered event.
 */
import { EINTR } from '../constants/errno.ts';
import { EPOLLIN } from '../constants/event.ts';
import type { EventLoop, LoopOptions, LoopTimer, Watch, WatchHandler } from '../event-loop.ts';
import { Fd } from '../fd.ts';
import type { SysFd, SysLoop } from '../sys.ts';
import { check, SysError } from '../sys-error.ts';
import { DeferQueue } from './defer-queue.ts';
import { Spinner } from './spinner.ts';
import { TimerHeap } from './timer-heap.ts';
import { WatchTable } from './watch-table.ts';

/** The slices of `Sys` that a loop uses. */
export interface LoopSys {
  readonly loop: SysLoop;
  readonly fd: Pick<SysFd, 'close' | 'dup'>;
}

const BATCH = 128;
const NS_PER_MS = 1e6;
/** epoll_wait takes an int. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
/** Reading the clock costs as much as several polls. */
const POLLS_PER_CLOCK_READ = 16;

type Poll = (sleeping: boolean) => boolean;

interface Poller {
  readonly poll: Poll;
  readonly waits: () => boolean;
}

const never = (): boolean => false;

export abstract class LoopCore implements EventLoop {
  abstract readonly driver: 'blocking' | 'node';
  protected readonly epoll: Fd;
  protected readonly timers = new TimerHeap();
  protected readonly deferred = new DeferQueue();
  protected stopping = false;
  readonly #sys: SysLoop;
  readonly #onError: ((error: unknown) => void) | undefined;
  readonly #stop: Fd;
  readonly #watches: WatchTable;
  readonly #spinner: Spinner;
  readonly #pollers: Poller[] = [];
  readonly #events = new Uint32Array(BATCH);
  readonly #tokens = new Float64Array(BATCH);
  #next = 0;
  #ready = 0;
  #inTurn = false;

  /** @throws SysError EMFILE, ENFILE; RangeError for a bad `spinNs` */
  constructor(sys: LoopSys, options: LoopOptions = {}) {
    const spinNs = options.spinNs ?? 0;
    if (!(spinNs >= 0 && Number.isFinite(spinNs))) {
      throw new RangeError(`spinNs must be 0 or more, got ${spinNs}`);
    }
    this.#sys = sys.loop;
    this.#onError = options.onError;
    this.#spinner = new Spinner(spinNs);
    this.epoll = new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1'));
    const stopFd = sys.loop.eventfd(0);
    if (stopFd < 0) {
      this.epoll.close();
      throw new SysError(-stopFd, 'eventfd2');
    }
    this.#stop = new Fd(sys.fd, stopFd);
    this.#watches = new WatchTable(sys.loop, this.epoll.fd);
    this.#watches.add(stopFd, EPOLLIN, () => {
      this.#sys.eventfdDrain(stopFd);
      this.stop();
    });
  }

  get stopFd(): number {
    return this.#stop.fd;
  }

  watch(fd: number, events: number, handler: WatchHandler): Watch {
    this.#assertOpen();
    return this.#watches.add(fd, events, handler);
  }

  timer(delayMs: number, callback: () => void): LoopTimer {
    this.#assertOpen();
    if (!(Number.isInteger(delayMs) && delayMs >= 0)) {
      throw new RangeError(`delayMs must be a whole number from 0, got ${delayMs}`);
    }
    return this.timers.add(this.#sys.nowNs() + delayMs * NS_PER_MS, callback);
  }

  defer(callback: () => void): void {
    this.#assertOpen();
    this.deferred.push(callback);
  }

  addPoller(poll: Poll, waits = never): Disposable {
    this.#assertOpen();
    const poller = { poll, waits };
    this.#pollers.push(poller);
    return {
      [Symbol.dispose]: () => {
        const index = this.#pollers.indexOf(poller);
        if (index >= 0) {
          this.#pollers.splice(index, 1);
        }
      },
    };
  }

  abstract run(): void;

  runOnce(timeoutMs: number): number {
    return this.turn(timeoutMs);
  }

  stop(): void {
    this.stopping = true;
  }

  /** Closes the loop's own descriptors; watched ones stay open. @throws Error from inside a handler */
  [Symbol.dispose](): void {
    if (this.epoll.closed) {
      return;
    }
    if (this.#inTurn) {
      throw new Error('a loop cannot be disposed by its own handler: stop() it');
    }
    this.#watches.clear();
    this.timers.clear();
    this.deferred.clear();
    this.#pollers.length = 0;
    this.#stop.close();
    this.epoll.close();
  }

  protected get inTurn(): boolean {
    return this.#inTurn;
  }

  /** ms until the first timer is due, rounded up; -1 without one. */
  protected msToNextTimer(): number {
    if (this.timers.size === 0) {
      return -1;
    }
    const ms = Math.ceil((this.timers.nextDeadlineNs - this.#sys.nowNs()) / NS_PER_MS);
    return Math.min(Math.max(ms, 0), MAX_TIMEOUT_MS);
  }

  /**
   * One turn: what is at hand, else a wait of at most `timeoutMs` (-1: for ever) and what it brings.
   * @returns handlers, callbacks and pollers that had work
   * @throws what a handler throws, unless there is an `onError`
   */
  protected turn(timeoutMs: number): number {
    this.#assertOpen();
    if (this.#inTurn) {
      throw new Error('the loop is running: a handler cannot run it again');
    }
    this.#inTurn = true;
    let handled = 0;
    try {
      handled = this.#dispatch() + this.deferred.run();
      let waitMs = handled > 0 || this.stopping || !this.deferred.isEmpty ? 0 : this.#waitMs(timeoutMs);
      if (waitMs !== 0) {
        handled = this.#pollBeforeSleep();
        waitMs = handled > 0 || !this.deferred.isEmpty ? 0 : waitMs;
      }
      this.#wait(waitMs);
      handled += this.#dispatch();
      if (this.timers.size > 0) {
        handled += this.timers.run(this.#sys.nowNs());
      }
      handled += this.deferred.run();
    } catch (error) {
      if (this.#onError === undefined) {
        throw error;
      }
      handled++;
      this.#onError(error);
    } finally {
      this.#inTurn = false;
    }
    return handled;
  }

  /** For a driver that sleeps elsewhere: the last look of the pollers. @returns how often they found work */
  protected lastLook(): number {
    this.#inTurn = true;
    try {
      return this.#pollBeforeSleep();
    } catch (error) {
      if (this.#onError === undefined) {
        throw error;
      }
      this.#onError(error);
      return 1;
    } finally {
      this.#inTurn = false;
    }
  }

  /** Tells the spin how long a sleep took. */
  protected sleptFor(ns: number): void {
    this.#spinner.slept(ns);
  }

  protected nowNs(): number {
    return this.#sys.nowNs();
  }

  #waitMs(timeoutMs: number): number {
    const timerMs = this.msToNextTimer();
    if (timerMs < 0) {
      return Math.min(timeoutMs, MAX_TIMEOUT_MS);
    }
    return timeoutMs < 0 ? timerMs : Math.min(timerMs, timeoutMs);
  }

  #wait(waitMs: number): void {
    const measured = waitMs !== 0 && this.#spinner.budgetNs > 0 && this.#maySpin;
    const before = measured ? this.#sys.nowNs() : 0;
    const found = this.#sys.epollWait(this.epoll.fd, waitMs, this.#events, this.#tokens);
    if (measured && found > 0) {
      this.#spinner.slept(this.#sys.nowNs() - before);
    }
    if (found < 0 && found !== -EINTR) {
      throw new SysError(-found, 'epoll_wait');
    }
    this.#next = 0;
    this.#ready = Math.max(found, 0);
  }

  #dispatch(): number {
    let count = 0;
    while (this.#next < this.#ready) {
      const index = this.#next++;
      const handler = this.#watches.handlerOf(this.#tokens[index]!);
      if (handler !== undefined) {
        count++;
        handler(this.#events[index]!);
      }
    }
    return count;
  }

  #pollBeforeSleep(): number {
    if (this.#pollers.length === 0) {
      return 0;
    }
    let found = 0;
    if (this.#spinner.isOn && this.#maySpin) {
      found = this.#spin();
      this.#spinner.spun(found > 0);
    }
    if (found > 0) {
      return found;
    }
    found = this.#pollAll(true);
    if (found > 0) {
      this.#spinner.slept(0);
    }
    return found;
  }

  /** Polls until nothing was found for the budget; also ends after the budget with work, so that descriptors get a turn. */
  #spin(): number {
    const budgetNs = this.#spinner.budgetNs;
    const start = this.#sys.nowNs();
    let lastWork = start;
    let now = start;
    let found = 0;
    do {
      const before = found;
      for (let round = 0; round < POLLS_PER_CLOCK_READ; round++) {
        if (this.#pollAll(false) > 0) {
          found++;
          if (!this.deferred.isEmpty || this.stopping) {
            return found;
          }
        }
      }
      now = this.#sys.nowNs();
      if (found > before) {
        lastWork = now;
      }
    } while (now - lastWork < budgetNs && now - start < 2 * budgetNs);
    return found;
  }

  /** A spin could find the work that comes next. */
  get #maySpin(): boolean {
    for (let index = 0; index < this.#pollers.length; index++) {
      if (this.#pollers[index]!.waits()) return false;
    }
    return this.#pollers.length > 0;
  }

  #pollAll(sleeping: boolean): number {
    let found = 0;
    for (let index = 0; index < this.#pollers.length; index++) {
      if (this.#pollers[index]!.poll(sleeping)) {
        found++;
      }
    }
    return found;
  }

  #assertOpen(): void {
    if (this.epoll.closed) {
      throw new RangeError('the loop was disposed');
    }
  }
}
