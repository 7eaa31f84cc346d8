/** Waiting for descriptors without an event loop: the suite does one thing at a time. */
import { check, EPOLL_CTL_ADD, EPOLL_CTL_DEL, Fd, type Sys } from '@oriel/sys';

const MAX_FDS = 8;

/** One epoll descriptor, filled anew for each wait. */
export class Waiter implements Disposable {
  readonly #sys: Pick<Sys, 'fd' | 'loop'>;
  readonly #epoll: Fd;
  readonly #events = new Uint32Array(MAX_FDS);
  readonly #tokens = new Float64Array(MAX_FDS);

  constructor(sys: Pick<Sys, 'fd' | 'loop'>) {
    this.#sys = sys;
    this.#epoll = new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1'));
  }

  /** CLOCK_MONOTONIC, ms. */
  now(): number {
    return this.#sys.loop.nowNs() / 1e6;
  }

  /**
   * Waits until one of the descriptors has one of `events`, or an error, or its other end is gone.
   * @returns true when one has, false after `timeoutMs`
   */
  wait(fds: readonly number[], events: number, timeoutMs: number): boolean {
    const { loop } = this.#sys;
    const epoll = this.#epoll.fd;
    for (const fd of fds) check(loop.epollCtl(epoll, EPOLL_CTL_ADD, fd, events, fd), 'epoll_ctl');
    try {
      const end = this.now() + timeoutMs;
      for (let left = timeoutMs; ; left = end - this.now()) {
        // Interrupted, it waits for what is left.
        const ready = loop.epollWait(epoll, Math.max(Math.ceil(left), 0), this.#events, this.#tokens);
        if (ready > 0) return true;
        if (left <= 0) return false;
      }
    } finally {
      for (const fd of fds) check(loop.epollCtl(epoll, EPOLL_CTL_DEL, fd, 0, 0), 'epoll_ctl');
    }
  }

  [Symbol.dispose](): void {
    this.#epoll.close();
  }
}
