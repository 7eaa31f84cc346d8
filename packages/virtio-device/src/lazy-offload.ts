/** Helper threads that start when a device first asks for them. */
import { type EventLoop, type HelperThreads, openOffload, type Sys } from '@oriel/sys';

/** Gives out helper threads: the one it was given, or its own, made at first use. */
export class LazyOffload implements Disposable {
  readonly #sys: Pick<Sys, 'loop' | 'fd'>;
  readonly #loop: EventLoop;
  readonly #given: HelperThreads | undefined;
  #own: HelperThreads | null = null;

  /** @param given - stays its owner's; without it one is made */
  constructor(sys: Pick<Sys, 'loop' | 'fd'>, loop: EventLoop, given?: HelperThreads) {
    this.#sys = sys;
    this.#loop = loop;
    this.#given = given;
  }

  /** The helper threads. @throws SysError EMFILE */
  get(): HelperThreads {
    if (this.#given !== undefined) {
      return this.#given;
    }
    this.#own ??= openOffload(this.#sys, this.#loop);
    return this.#own;
  }

  /** As `HelperThreads.afterPending`; starts nothing. */
  afterPending(callback: () => void): void {
    const threads = this.#given ?? this.#own;
    if (threads === null) {
      callback();
    } else {
      threads.afterPending(callback);
    }
  }

  /** Waits, blocking, until nothing is under way; starts nothing. */
  drain(): void {
    (this.#given ?? this.#own)?.drain();
  }

  /** Ends the helper threads that it made. */
  [Symbol.dispose](): void {
    this.#own?.[Symbol.dispose]();
    this.#own = null;
  }
}
