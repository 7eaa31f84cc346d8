/** When a back-end that ended is started again, as systemd's `Restart=on-failure` has it. */

/** EX_TEMPFAIL of sysexits.h: the back-end handed over, and wants a process to go on. */
export const HANDED_OVER = 75;
const BAD_USAGE = 2;
/** One that lived so long is started again at once. */
const STEADY_MS = 1000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5000;
/** `128 + n`: how a shell reports an end by signal n. */
const BY_SIGNAL = 128;

/** How a child ended. */
export interface ChildEnd {
  readonly code: number | null;
  /** Number of the signal that killed it; null: none did. */
  readonly signal: number | null;
  readonly livedMs: number;
}

/** What follows: start again after a while, or end with a status. */
export type Verdict =
  | { readonly again: true; readonly delayMs: number }
  | { readonly again: false; readonly status: number };

/** Judges one end after the other. */
export class RestartPolicy {
  #everReady = false;
  #stopping = false;
  #nextDelayMs = FIRST_DELAY_MS;

  /** A child serves: from now on an end is an accident, not a bad set-up. */
  ready(): void {
    this.#everReady = true;
  }

  /** Whoever runs the launcher asked for the end. */
  stopping(): void {
    this.#stopping = true;
  }

  /** What follows the end of a child. */
  judge({ code, signal, livedMs }: ChildEnd): Verdict {
    const status = code ?? BY_SIGNAL + (signal ?? 0);
    if (code === HANDED_OVER && !this.#stopping) {
      return { again: true, delayMs: 0 };
    }
    if (this.#stopping || !this.#everReady || status === 0 || status === BAD_USAGE) {
      return { again: false, status };
    }
    if (livedMs >= STEADY_MS) {
      this.#nextDelayMs = FIRST_DELAY_MS;
      return { again: true, delayMs: 0 };
    }
    const delayMs = this.#nextDelayMs;
    this.#nextDelayMs = Math.min(MAX_DELAY_MS, 2 * delayMs);
    return { again: true, delayMs };
  }
}
