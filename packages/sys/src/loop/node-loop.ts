/** The driver under Node's own loop: one epoll descriptor is polled by libuv, so Promises and other handles run too. */
import type { LoopOptions, LoopTimer } from '../event-loop.ts';
import { NodePoll } from '../koffi/poll.ts';
import { LoopCore, type LoopSys } from './loop-core.ts';

/** Turns in a row before Node's loop gets its own. */
const MAX_TURNS = 16;

/**
 * An event loop inside Node's. `run` returns at once and keeps the process alive until `stop`. Without `onError` a
 * handler's exception stops the loop and becomes an uncaught exception of the process.
 */
export class NodeLoop extends LoopCore {
  readonly driver = 'node';
  readonly #poll: NodePoll;
  #running = false;
  #pumpQueued = false;
  #wake: NodeJS.Timeout | undefined;
  #wakeAtNs = Number.POSITIVE_INFINITY;
  #sleptSinceNs = 0;

  /** @throws SysError EMFILE, ENFILE; RangeError for a bad `spinNs` */
  constructor(sys: LoopSys, options?: LoopOptions) {
    super(sys, options);
    this.#poll = new NodePoll(this.epoll.fd, () => {
      this.sleptFor(this.nowNs() - this.#sleptSinceNs);
      this.#pump();
    });
  }

  override timer(delayMs: number, callback: () => void): LoopTimer {
    const timer = super.timer(delayMs, callback);
    this.#armTimer();
    return timer;
  }

  override defer(callback: () => void): void {
    super.defer(callback);
    this.#queuePump();
  }

  run(): void {
    if (this.#running) {
      throw new Error('the loop is running');
    }
    this.#running = true;
    this.#poll.start();
    this.#queuePump();
  }

  /** Ends the run: nothing is called back any more. Under this driver a stop before `run` has no effect. */
  override stop(): void {
    super.stop();
    if (!this.inTurn) {
      this.#end();
    }
  }

  override [Symbol.dispose](): void {
    if (!this.inTurn) {
      this.#end();
    }
    super[Symbol.dispose]();
  }

  #end(): void {
    this.#running = false;
    this.stopping = false;
    this.#poll.stop();
    clearTimeout(this.#wake);
    this.#wakeAtNs = Number.POSITIVE_INFINITY;
  }

  #queuePump(): void {
    if (this.#running && !this.inTurn && !this.#pumpQueued) {
      this.#pumpQueued = true;
      queueMicrotask(() => {
        this.#pumpQueued = false;
        this.#pump();
      });
    }
  }

  /** Serves all that is at hand, then leaves the thread to Node. */
  #pump(): void {
    if (!this.#running || this.inTurn) {
      return;
    }
    let handled = 0;
    try {
      let turns = 0;
      do {
        handled = this.turn(0);
        if (handled === 0) {
          handled = this.lastLook();
        }
        turns++;
      } while (handled > 0 && turns < MAX_TURNS && !this.stopping);
    } catch (error) {
      this.#end();
      // koffi swallows what its callback throws; from a microtask it reaches the process.
      queueMicrotask(() => {
        throw error;
      });
      return;
    }
    if (this.stopping) {
      this.#end();
      return;
    }
    this.#sleptSinceNs = this.nowNs();
    if (handled > 0 || !this.deferred.isEmpty) {
      setImmediate(() => this.#pump());
    } else {
      this.#armTimer();
    }
  }

  /** Has Node wake us for the first timer. */
  #armTimer(): void {
    const deadlineNs = this.timers.nextDeadlineNs;
    if (!this.#running || this.inTurn || deadlineNs === this.#wakeAtNs) {
      return;
    }
    clearTimeout(this.#wake);
    this.#wakeAtNs = deadlineNs;
    if (deadlineNs === Number.POSITIVE_INFINITY) {
      return;
    }
    this.#wake = setTimeout(() => {
      this.#wakeAtNs = Number.POSITIVE_INFINITY;
      this.#pump();
    }, this.msToNextTimer());
  }
}
