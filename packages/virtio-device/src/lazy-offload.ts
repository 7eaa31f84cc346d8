/** Helper threads that start when a device first asks for them. */
import { type EventLoop, type Offload, openOffload, type Sys } from '@oriel/sys';

/** Gives out one `Offload`: the one it was given, or its own, made at first use. */
export class LazyOffload implements Disposable {
  readonly #sys: Pick<Sys, 'loop' | 'fd'>;
  readonly #loop: EventLoop;
  readonly #given: Offload | undefined;
  #own: Offload | null = null;

  /** @param given - stays its owner's; without it one is made */
  constructor(sys: Pick<Sys, 'loop' | 'fd'>, loop: EventLoop, given?: Offload) {
    this.#sys = sys;
    this.#loop = loop;
    this.#given = given;
  }

  /** The helper threads. @throws SysError EMFILE */
  get(): Offload {
    if (this.#given !== undefined) {
      return this.#given;
    }
    this.#own ??= openOffload(this.#sys, this.#loop);
    return this.#own;
  }

  /** Ends the helper threads that it made. */
  [Symbol.dispose](): void {
    this.#own?.[Symbol.dispose]();
    this.#own = null;
  }
}
