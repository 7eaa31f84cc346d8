/** Pictures of the displays for the main thread, at a bounded pace: the last one always, none while nothing changes. */
import type { EventLoop } from '@oriel/sys';
import type { DeviceContext, Frame } from '../device-module.ts';

/** Between two pictures of one scanout: a picture costs the main thread a tenth of a second. */
const PACE_MS = 200;

/** What a feed needs. */
export interface ScreenshotFeedOptions {
  readonly loop: Pick<EventLoop, 'timer'>;
  readonly nowMs: () => number;
  /** A copy of what a scanout shows; null when it is off. */
  readonly capture: (scanout: number) => Frame | null;
  readonly showFrame: DeviceContext['showFrame'];
}

interface Scanout {
  changed: boolean;
  /** What it showed when it went off before its picture was due. */
  last: Frame | null;
  /** A picture is being written. */
  busy: boolean;
  timer: Disposable | null;
  givenMs: number;
}

/** Disposing gives the pictures that are still owed. */
export class ScreenshotFeed implements Disposable {
  readonly #options: ScreenshotFeedOptions;
  readonly #scanouts = new Map<number, Scanout>();
  #closed = false;

  constructor(options: ScreenshotFeedOptions) {
    this.#options = options;
  }

  /** A scanout shows something else now. */
  changed(scanout: number): void {
    let state = this.#scanouts.get(scanout);
    if (state === undefined) {
      state = { changed: false, last: null, busy: false, timer: null, givenMs: Number.NEGATIVE_INFINITY };
      this.#scanouts.set(scanout, state);
    }
    state.changed = true;
    this.#arm(scanout, state);
  }

  /** A scanout goes off now: what it shows is kept until its picture is due. */
  leaving(scanout: number): void {
    const state = this.#scanouts.get(scanout);
    if (state?.changed === true) {
      state.last = this.#options.capture(scanout) ?? state.last;
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const [scanout, state] of this.#scanouts) {
      state.timer?.[Symbol.dispose]();
      if (state.changed) {
        this.#give(scanout, state);
      }
    }
    this.#scanouts.clear();
  }

  #arm(scanout: number, state: Scanout): void {
    if (!state.changed || state.busy || state.timer !== null || this.#closed) {
      return;
    }
    const dueMs = Math.max(0, Math.ceil(state.givenMs + PACE_MS - this.#options.nowMs()));
    state.timer = this.#options.loop.timer(dueMs, () => {
      state.timer = null;
      this.#give(scanout, state);
    });
  }

  #give(scanout: number, state: Scanout): void {
    const { capture, showFrame, nowMs } = this.#options;
    const frame = capture(scanout) ?? state.last;
    state.changed = false;
    state.last = null;
    state.givenMs = nowMs();
    if (frame === null) {
      return;
    }
    state.busy = true;
    showFrame(frame, () => {
      state.busy = false;
      this.#arm(scanout, state);
    });
  }
}
