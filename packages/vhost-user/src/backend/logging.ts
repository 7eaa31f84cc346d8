/** The dirty log and who writes to it: the rings, each with its own view, and the device. */
import type { DirtyLog } from '@oriel/virtqueue';
import { LogMemory, type LogMemoryOptions, RingLog } from './log-memory.ts';
import type { Ring } from './ring.ts';

/** Hands the log out while logging is on. */
export class Logging {
  readonly memory: LogMemory;
  readonly #device: DirtyLog;
  readonly #rings: readonly RingLog[];

  constructor(options: LogMemoryOptions, ringCount: number) {
    this.memory = new LogMemory(options);
    this.#device = new RingLog(this.memory);
    this.#rings = Array.from({ length: ringCount }, () => new RingLog(this.memory));
  }

  /** For writes outside of chains; null while logging is off. */
  get device(): DirtyLog | null {
    return this.memory.on ? this.#device : null;
  }

  /** For a ring that starts; null while logging is off. */
  ofRing(ring: Ring): DirtyLog | null {
    this.follow(ring);
    return this.memory.on ? this.#rings[ring.index]! : null;
  }

  /** SET_VRING_ADDR said whether the ring's own part is logged; its queue may have the log already. */
  follow(ring: Ring): void {
    this.#rings[ring.index]!.logsRing = ring.logged;
  }
}
