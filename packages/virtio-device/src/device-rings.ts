/** The rings of one connection: those that run, and what those that ran left. */
import type { GuestMemory } from '@oriel/guest-memory';
import type { EventLoop, Logger, Sys } from '@oriel/sys';
import type { FeatureSet, RingSetup } from '@oriel/vhost-user';
import {
  type DirtyLog,
  type QueueState,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
} from '@oriel/virtqueue';
import type { Counters } from './counters.ts';
import type { VirtioDevice } from './device.ts';
import { publish, virtioChannel } from './diagnostics.ts';
import { RateLimit } from './rate-limit.ts';
import { Ring } from './ring.ts';

/** What the rings of a device stand on. */
export interface DeviceRingsOptions {
  readonly device: VirtioDevice;
  readonly sys: Pick<Sys, 'loop'>;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly batch: number;
  readonly counters: Counters;
  readonly memory: GuestMemory;
  /** A ring broke: the front-end is to know. */
  readonly ringError: (index: number) => void;
}

/** One slot a queue of the device. */
export class DeviceRings {
  readonly #options: DeviceRingsOptions;
  readonly #rings: (Ring | null)[];
  /** What the last queue of each ring left. */
  readonly #states: (QueueState | null)[];
  readonly #callFds: Int32Array;
  readonly #logLimit: RateLimit;
  readonly #looks = { underWay: false, around: () => void this.#look(false) };

  constructor(options: DeviceRingsOptions) {
    const { queueCount } = options.device;
    this.#options = options;
    this.#rings = new Array<Ring | null>(queueCount).fill(null);
    this.#states = new Array<QueueState | null>(queueCount).fill(null);
    this.#callFds = new Int32Array(queueCount).fill(-1);
    this.#logLimit = new RateLimit(() => options.sys.loop.nowNs());
  }

  /** Those that run. */
  get running(): readonly Ring[] {
    return this.#rings.filter((ring) => ring !== null);
  }

  setCall(index: number, fd: number): void {
    this.#callFds[index] = fd;
  }

  /** Makes a ring that goes on where the last one of its index stopped, if it stopped there. @throws VirtqueueError */
  make(setup: RingSetup, accepted: FeatureSet): Ring {
    const { device, loop, sys, log, counters, batch, memory, ringError } = this.#options;
    const state = this.#states[setup.index];
    const context = {
      device,
      loop,
      eventfd: sys.loop,
      memory,
      log,
      logLimit: this.#logLimit,
      counters,
      batch,
      packed: accepted.has(VIRTIO_F_RING_PACKED),
      inOrder: accepted.has(VIRTIO_F_IN_ORDER),
      eventIdx: accepted.has(VIRTIO_RING_F_EVENT_IDX),
      indirect: accepted.has(VIRTIO_RING_F_INDIRECT_DESC),
      callFds: this.#callFds,
      looks: this.#looks,
      ringError,
    };
    return new Ring(context, setup, state?.base === setup.base ? state.kept : []);
  }

  /** The device has it: it takes its turns from now on. @throws SysError; the device has it no more then */
  add(ring: Ring): void {
    this.#rings[ring.index] = ring;
    try {
      ring.listen();
    } catch (error) {
      this.stop(ring.index);
      throw error;
    }
  }

  /** A running ring logs its writes here from now on; null: nowhere. */
  log(index: number, dirty: DirtyLog | null): void {
    const ring = this.#rings[index];
    if (ring !== null && ring !== undefined) {
      ring.queue.dirty = dirty;
    }
  }

  /** Takes a ring away from the device. @returns it, stopped; null when it did not run */
  stop(index: number): Ring | null {
    const { device, counters } = this.#options;
    const ring = this.#rings[index];
    if (ring === null || ring === undefined) {
      return null;
    }
    ring.unlisten();
    device.stopQueue(index);
    const base = ring.stop();
    this.#rings[index] = null;
    this.#states[index] = ring.queue.state;
    counters.fold(ring.queue.stats);
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'queue-stop', device: device.name, queue: index, base });
    }
    return ring;
  }

  /** What the rings left, all of which are stopped. */
  get left(): readonly (QueueState | null)[] {
    return [...this.#states];
  }

  /** As if the rings had been stopped here. @param states - one a queue */
  takeOver(states: readonly (QueueState | null)[]): void {
    for (const [index, state] of states.entries()) {
      this.#states[index] = state;
    }
  }

  /** A new driver comes, or the device was reset: nothing that was left counts. */
  forget(): void {
    this.#states.fill(null);
  }

  /** Looks all rings up again after a change of the memory table. */
  rebind(): void {
    for (const ring of this.#rings) {
      ring?.rebind();
    }
  }

  /** Adds the counts of the queues that run. */
  addStats(into: Counters): void {
    for (const ring of this.#rings) {
      if (ring !== null) {
        into.fold(ring.queue.stats);
      }
    }
  }

  /** Turns for rings with work and no kick taken yet: the loop asks while it spins, and once before it sleeps. */
  readonly poll = (sleeping: boolean): boolean => {
    this.#looks.underWay = !sleeping;
    return this.#look(sleeping);
  };

  /** The loop looks no more: each ring asks for kicks again. */
  endLooks(): void {
    this.#looks.underWay = false;
  }

  #look(sleeping: boolean): boolean {
    let found = false;
    for (let index = 0; index < this.#rings.length; index++) {
      if (this.#rings[index]?.poll(sleeping) === true) {
        found = true;
      }
    }
    return found;
  }
}
