/**
 * An event loop for a front-end connection whose channels can be left unread for a while: QEMU serves no back channel while
 * it waits on the main one, and a hostile front-end never serves it.
 */
import { EPOLLERR, EPOLLHUP, type EventLoop, type LoopTimer, type Watch, type WatchHandler } from '@oriel/sys';

/** A watch that can rest. */
class PausableWatch implements Watch {
  readonly fd: number;
  readonly #watch: Watch;
  #events: number;
  #pauses = 0;
  #disposed = false;

  constructor(loop: EventLoop, fd: number, events: number, handler: WatchHandler) {
    this.fd = fd;
    this.#events = events;
    // A hang-up is reported whatever was asked for, and has to be taken or it comes again and again.
    this.#watch = loop.watch(fd, events, (ready) => {
      if (this.#pauses === 0 || (ready & (EPOLLHUP | EPOLLERR)) !== 0) handler(ready);
    });
  }

  modify(events: number): void {
    this.#events = events;
    this.#apply();
  }

  pause(): void {
    this.#pauses++;
    this.#apply();
  }

  resume(): void {
    this.#pauses--;
    this.#apply();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#watch[Symbol.dispose]();
  }

  #apply(): void {
    if (!this.#disposed) this.#watch.modify(this.#pauses === 0 ? this.#events : 0);
  }
}

/** Hands everything on to a real loop, which the caller owns. */
export class PausableLoop implements EventLoop {
  readonly #loop: EventLoop;
  readonly #watches: PausableWatch[] = [];

  constructor(loop: EventLoop) {
    this.#loop = loop;
  }

  get driver(): EventLoop['driver'] {
    return this.#loop.driver;
  }

  get stopFd(): number {
    return this.#loop.stopFd;
  }

  /** Leaves the `index`-th descriptor ever watched unread until the returned function is called. */
  pause(index: number): () => void {
    const watch = this.#watches[index];
    watch?.pause();
    let paused = watch !== undefined;
    return () => {
      if (paused) watch!.resume();
      paused = false;
    };
  }

  watch(fd: number, events: number, handler: WatchHandler): Watch {
    const watch = new PausableWatch(this.#loop, fd, events, handler);
    this.#watches.push(watch);
    return watch;
  }

  timer(delayMs: number, callback: () => void): LoopTimer {
    return this.#loop.timer(delayMs, callback);
  }

  defer(callback: () => void): void {
    this.#loop.defer(callback);
  }

  addPoller(poll: (sleeping: boolean) => boolean): Disposable {
    return this.#loop.addPoller(poll);
  }

  run(): void {
    this.#loop.run();
  }

  runOnce(timeoutMs: number): number {
    return this.#loop.runOnce(timeoutMs);
  }

  stop(): void {
    this.#loop.stop();
  }

  [Symbol.dispose](): void {
    this.#watches.length = 0;
  }
}
