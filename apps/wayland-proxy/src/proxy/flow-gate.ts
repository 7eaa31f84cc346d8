/** How much may be under way to the host: a window that narrows while the host is slow to take what was sent. */

const START_WINDOW = 64 * 1024;
const LEAST_WINDOW = 4 * 1024;
const MOST_WINDOW = 256 * 1024;
/** The host answers within a millisecond where nothing waits there, and holds answers back where much does. */
const SLOW_MS = 50;

export class FlowGate {
  readonly #onOpen: () => void;
  #window = START_WINDOW;
  #sent = 0;
  #since = 0;
  #waiting = false;

  /** @param onOpen - called when the gate was shut and is open again */
  constructor(onOpen: () => void) {
    this.#onOpen = onOpen;
  }

  /** False: send no more for now. */
  get isOpen(): boolean {
    return !this.#waiting || this.#sent < this.#window;
  }

  /** Counts what is about to be sent. @returns what the host is to call once it has taken it; undefined: it need not say */
  charge(len: number): (() => void) | undefined {
    this.#sent += len;
    if (this.#waiting || this.#sent < this.#window) return undefined;
    this.#waiting = true;
    this.#sent = 0;
    this.#since = performance.now();
    return this.#taken;
  }

  readonly #taken = (): void => {
    const wasShut = !this.isOpen;
    this.#waiting = false;
    const slow = performance.now() - this.#since > SLOW_MS;
    this.#window = slow ? Math.max(LEAST_WINDOW, this.#window / 2) : Math.min(MOST_WINDOW, this.#window * 2);
    if (wasShut) this.#onOpen();
  };
}
