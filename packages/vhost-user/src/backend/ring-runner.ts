/** Start and stop of rings: when the device gets a ring, when it loses it, and what the whole device hears of that. */
import type { GuestMemory } from '@oriel/guest-memory';
import type { DirtyLog } from '@oriel/virtqueue';
import type { Negotiated } from '../protocol/check.ts';
import type { BackendHandler } from './handler.ts';
import type { Ring } from './ring.ts';
import { checkRingAddresses, checkRingBase, freshBase } from './ring-geometry.ts';

/** What the runner needs of the connection. */
export interface RingRunnerOptions {
  readonly handler: BackendHandler;
  readonly memory: GuestMemory;
  readonly negotiated: Negotiated;
  /** The in-flight area of a ring. @throws VhostUserError ERR_VU_INFLIGHT */
  readonly inflightArea: (index: number, size: number) => Uint8Array | null;
  /** What a ring's queue logs its writes in, or null. */
  readonly dirtyLog: (ring: Ring) => DirtyLog | null;
  /** @throws VhostUserError ERR_VU_STATE when no ring may start now */
  readonly checkStart: () => void;
  /** The first ring is about to start. */
  readonly onResume: () => void;
  /** A ring was started. */
  readonly onStarted: () => void;
  /** A ring is about to stop; the device still has it. */
  readonly onStopping: () => void;
  /** The last ring has stopped. */
  readonly onSuspend: () => void;
}

/** Hands rings to the device and takes them back. */
export class RingRunner {
  readonly #options: RingRunnerOptions;
  #count = 0;

  constructor(options: RingRunnerOptions) {
    this.#options = options;
  }

  /** True between the first ring's start and the last ring's stop. */
  get running(): boolean {
    return this.#count > 0;
  }

  /** Starts the ring if it has all that a start needs. @throws VhostUserError ERR_VU_RING, or what the device threw */
  startWhenComplete(ring: Ring): void {
    if (ring.running || !ring.complete) {
      return;
    }
    const { negotiated, memory, checkStart } = this.#options;
    const { features } = negotiated;
    checkStart();
    checkRingBase(ring.index, ring.size, ring.base ?? freshBase(features), features);
    checkRingAddresses(ring.index, ring.size, ring.addresses!, features, memory);
    this.#count++;
    try {
      if (this.#count === 1) {
        this.#options.onResume();
      }
      this.#handOver(ring);
    } catch (error) {
      this.#uncount();
      throw error;
    }
    this.#options.onStarted();
  }

  /** Takes the ring back, if the device has it, and remembers its base. @throws what the device threw; it is stopped then */
  stop(ring: Ring): void {
    if (!ring.running) {
      return;
    }
    this.#options.onStopping();
    ring.running = false;
    ring.drain = null;
    try {
      ring.base = this.#options.handler.stopRing(ring.index);
    } finally {
      this.#uncount();
    }
  }

  /**
   * Changes something of a running ring: the device gets it again at the same place, nothing is suspended.
   * @throws what the device threw; the ring is stopped then
   */
  exchange(ring: Ring, change: () => void): void {
    ring.running = false;
    ring.drain = null;
    try {
      ring.base = this.#options.handler.stopRing(ring.index);
      change();
      this.#handOver(ring);
    } catch (error) {
      ring.stop();
      this.#uncount();
      throw error;
    }
  }

  #handOver(ring: Ring): void {
    this.#options.handler.startRing({
      index: ring.index,
      size: ring.size,
      ...ring.addresses!,
      base: ring.base ?? freshBase(this.#options.negotiated.features),
      kickFd: ring.kick === null ? -1 : ring.kick.fd,
      inflight: this.#options.inflightArea(ring.index, ring.size),
      dirty: this.#options.dirtyLog(ring),
    });
    ring.running = true;
  }

  #uncount(): void {
    this.#count--;
    if (this.#count === 0) {
      this.#options.onSuspend();
    }
  }
}
