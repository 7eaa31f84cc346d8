/** When commands are taken from a queue, and for how long. */
import type { EventLoop, SysLoop } from '@oriel/sys';
import type { Chain } from '@oriel/virtqueue';
import { CONTROL_QUEUE } from '../protocol/values.ts';
import type { Requests } from './requests.ts';

/**
 * A turn ends with the command that goes beyond this, whatever its budget: a guest that draws large pictures must not keep the
 * front-end waiting, nor the other devices of the process.
 */
const TURN_NS = 10e6;

/** Settings. */
export interface TurnsOptions {
  readonly clock: Pick<SysLoop, 'nowNs'>;
  readonly requests: Requests;
  /** Handles one chain of a queue. */
  readonly take: (index: number, chain: Chain) => void;
  /** A queue has no chain. */
  readonly none?: (index: number) => void;
  /** Commands taken at a time, of those that waited for a display. */
  readonly budget: number;
}

/** The turns of the queues. */
export class Turns {
  readonly #options: TurnsOptions;
  #loop: EventLoop | null = null;
  /** Displays that read pixels now; no command of the control queue is taken meanwhile. */
  #holds = 0;
  /** Changes at each reset, so that what was held before does not count. */
  #epoch = 0;
  #deferred = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** The loop that commands are taken on; null when no front-end is there. */
  attach(loop: EventLoop | null): void {
    this.#loop = loop;
  }

  /** A turn of a queue. @returns true when more is left */
  run(index: number, budget: number): boolean {
    const { clock, requests, take, none } = this.#options;
    const queue = requests.queue(index);
    if (queue === null) return false;
    const end = clock.nowNs() + TURN_NS;
    requests.beginTurn(queue);
    try {
      for (let taken = 0; taken < budget; taken++) {
        if (this.#holds > 0 && index === CONTROL_QUEUE) return false;
        const chain = queue.next();
        if (chain === null) {
          none?.(index);
          return false;
        }
        take(index, chain);
        if (clock.nowNs() > end) return true;
      }
      return true;
    } finally {
      requests.endTurn(queue);
    }
  }

  /** Takes no command of the control queue until the returned function was called. */
  hold(): () => void {
    const epoch = this.#epoch;
    let held = true;
    this.#holds++;
    return () => {
      if (!held || this.#epoch !== epoch) return;
      held = false;
      this.#holds--;
      if (this.#holds === 0) this.#later();
    };
  }

  /** Nothing is held any more: a reset. */
  reset(): void {
    this.#epoch++;
    this.#holds = 0;
  }

  /** Commands that waited for a display are taken behind the events at hand. */
  #later(): void {
    if (this.#deferred || this.#loop === null) return;
    this.#deferred = true;
    this.#loop.defer(() => {
      this.#deferred = false;
      if (this.run(CONTROL_QUEUE, this.#options.budget)) this.#later();
    });
  }
}
