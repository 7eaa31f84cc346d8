/** The driver that owns its thread: it sleeps in epoll_wait. Promises and Node's timers do not run meanwhile. */
import type { LoopOptions } from '../event-loop.ts';
import { LoopCore, type LoopSys } from './loop-core.ts';

/**
 * An event loop in the calling thread.
 * @example
 * using loop = new BlockingLoop(openSys());
 * loop.watch(kick.fd, EPOLLIN | EPOLLET, () => queue.process());
 * loop.run();
 */
export class BlockingLoop extends LoopCore {
  readonly driver = 'blocking';
  #running = false;

  /** @throws SysError EMFILE, ENFILE; RangeError for a bad `spinNs` */
  constructor(sys: LoopSys, options?: LoopOptions) {
    super(sys, options);
  }

  /** Runs until `stop()` or a write to `stopFd`; one that came before counts. @throws what a handler throws */
  run(): void {
    if (this.#running) {
      throw new Error('the loop is running');
    }
    this.#running = true;
    try {
      while (!this.stopping) {
        this.turn(-1);
      }
      this.stopping = false;
    } finally {
      this.#running = false;
    }
  }
}
