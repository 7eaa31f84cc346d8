/** Ending on request: the first signal asks, a second one or the lack of an answer ends the process by force. */

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;
/** timeout(1) signals its child and then the child's group, a terminal the whole group: one request, several signals. */
const SAME_REQUEST_MS = 200;
/** QEMU and libvirt kill a few seconds after SIGTERM; a person at a terminal waits less. */
const ANSWER_MS = 800;

/** What a signal does. */
export interface StopHandlers {
  /** Asks the device to stop. */
  readonly ask: (signal: string) => void;
  /** Ends the process now, whatever its threads do. */
  readonly force: (reason: string) => void;
}

/** Takes over the signals that end a program; disposing gives them back. */
export class StopSignals implements Disposable {
  readonly #handlers: StopHandlers;
  #timer: NodeJS.Timeout | undefined;
  #askedAt = Number.POSITIVE_INFINITY;

  constructor(handlers: StopHandlers) {
    this.#handlers = handlers;
    for (const signal of SIGNALS) {
      process.on(signal, this.#onSignal);
    }
  }

  /** Stops as a signal would, for a reason of the program's own. */
  ask(reason: string): void {
    if (this.#asked) {
      return;
    }
    this.#askedAt = performance.now();
    this.#timer = setTimeout(() => this.#handlers.force(`no answer within ${ANSWER_MS} ms`), ANSWER_MS);
    this.#handlers.ask(reason);
  }

  /** The answer came: what is left may take its time. */
  answered(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const signal of SIGNALS) {
      process.off(signal, this.#onSignal);
    }
  }

  get #asked(): boolean {
    return this.#askedAt !== Number.POSITIVE_INFINITY;
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (!this.#asked) {
      this.ask(signal);
    } else if (performance.now() - this.#askedAt > SAME_REQUEST_MS) {
      this.#handlers.force(`a second signal, ${signal}`);
    }
  };
}
