/** One started queue of a device: its ring, its kick, and its turns on the loop. */

import type { GuestMemory } from '@oriel/guest-memory';
import { EPOLLET, EPOLLIN, type EventLoop, type Logger, type LoopTimer, type SysLoop, type Watch } from '@oriel/sys';
import type { RingSetup } from '@oriel/vhost-user';
import {
  type KeptChain,
  PackedQueue,
  type QueueConfig,
  type RingQueue,
  SplitQueue,
  VirtqueueError,
} from '@oriel/virtqueue';
import type { Counters } from './counters.ts';
import type { VirtioDevice } from './device.ts';
import { publish, virtioChannel } from './diagnostics.ts';
import type { RateLimit } from './rate-limit.ts';

/** How often a ring without a kick eventfd is looked at, ms (SET_VRING_KICK bit 8: the driver does not notify). */
const POLL_PERIOD_MS = 1;

/** What a ring needs of its connection. */
export interface RingContext {
  readonly device: VirtioDevice;
  readonly loop: EventLoop;
  readonly eventfd: Pick<SysLoop, 'eventfdSignal' | 'nowNs'>;
  readonly memory: GuestMemory;
  readonly log: Logger;
  readonly logLimit: RateLimit;
  readonly counters: Counters;
  readonly batch: number;
  readonly packed: boolean;
  readonly inOrder: boolean;
  readonly eventIdx: boolean;
  readonly indirect: boolean;
  /** Call eventfd of a ring now, -1 for none; the front-end may swap it at any time. */
  readonly callFds: Int32Array;
  /** How the loop looks at the rings by itself. */
  readonly looks: RingLooks;
  /** The ring broke: the front-end is to know. */
  ringError(index: number): void;
}

/** Looks at all rings of a connection, without kicks. */
export interface RingLooks {
  /** The loop spins, or is between two spins: it looks once more before it sleeps, so that no kick is needed till then. */
  readonly underWay: boolean;
  /** Looks now. */
  around(): void;
}

/** A queue between its start and its stop. Its device sees it only as a `DeviceQueue`. */
export class Ring {
  readonly index: number;
  readonly queue: RingQueue;
  readonly #context: RingContext;
  readonly #kickFd: number;
  #watch: Watch | null = null;
  #timer: LoopTimer | null = null;
  #scheduled = false;
  #stopped = false;
  #broken = false;

  /**
   * @param kept - what the queue left that had this ring before, if the same driver has it
   * @throws VirtqueueError when the ring does not lie in guest memory as it must
   */
  constructor(context: RingContext, setup: RingSetup, kept: readonly KeptChain[]) {
    const { index } = setup;
    const { callFds, eventfd } = context;
    this.#context = context;
    this.#kickFd = setup.kickFd;
    this.index = index;
    const config: QueueConfig = {
      index,
      size: setup.size,
      desc: setup.desc,
      avail: setup.avail,
      used: setup.used,
      addressSpace: 'user',
      base: setup.base,
      kept,
      inflight: setup.inflight,
      dirty: setup.dirty,
      inOrder: context.inOrder,
      eventIdx: context.eventIdx,
      indirect: context.indirect,
      call: () => {
        const fd = callFds[index]!;
        if (fd >= 0) {
          eventfd.eventfdSignal(fd);
        }
      },
      onError: (error) => this.#report(error),
    };
    const { memory } = context;
    this.queue = context.packed ? new PackedQueue(memory, config) : new SplitQueue(memory, config);
    this.queue.batching = false;
  }

  /** Watches the kick and takes a first turn soon: a kick that came before is not reported again. @throws SysError */
  listen(): void {
    if (this.#kickFd >= 0) {
      // Edge-triggered and never read: one wake a kick, no system call to take the count away.
      this.#watch = this.#context.loop.watch(this.#kickFd, EPOLLIN | EPOLLET, () => {
        this.#context.counters.kicks++;
        this.turn(this.#context.looks.underWay);
      });
    } else {
      this.#armTimer();
    }
    this.wake();
  }

  /**
   * Lets the device take a batch. What is left gets its turn after the other events at hand.
   * @param quiet - the loop looks again by itself: an empty ring asks for no kick
   */
  turn(quiet = false): void {
    if (this.#stopped || this.#broken) {
      return;
    }
    this.queue.quiet = quiet;
    const { device, counters, batch } = this.#context;
    const { stats } = this.queue;
    const before = stats.chains;
    const watched = virtioChannel.hasSubscribers;
    const completedBefore = stats.completed;
    const startNs = watched ? this.#context.eventfd.nowNs() : 0;
    let more = false;
    counters.batches++;
    this.queue.batching = true;
    try {
      more = device.process(this.index, batch);
      this.queue.flush();
    } catch (error) {
      if (!(error instanceof VirtqueueError)) {
        throw error;
      }
      this.#break(error);
    } finally {
      this.queue.batching = false;
    }
    if (stats.chains === before) {
      counters.emptyBatches++;
    }
    if (watched) {
      publish({
        type: 'batch',
        device: device.name,
        queue: this.index,
        chains: stats.chains - before,
        completed: stats.completed - completedBefore,
        elapsedNs: this.#context.eventfd.nowNs() - startNs,
      });
    }
    if (more) {
      this.wake();
    }
  }

  /** Takes a turn after the events at hand. */
  wake(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      this.#context.loop.defer(this.#deferred);
    }
  }

  /**
   * A turn without a kick, for a spinning loop.
   * @param sleeping - the loop sleeps next unless there is work: the driver is asked for kicks again
   * @returns true when it took chains
   */
  poll(sleeping: boolean): boolean {
    if (this.#stopped || this.#broken || this.#scheduled) {
      return false;
    }
    const { queue } = this;
    if (!(sleeping ? queue.askForKicks() : queue.hasWork)) {
      return false;
    }
    const before = queue.stats.chains;
    // While the loop looks by itself, a kick would only cost the driver its way out of the guest.
    this.turn(!sleeping);
    if (queue.stats.chains === before) {
      return false;
    }
    this.#context.counters.polled++;
    return true;
  }

  /** Looks the ring up again after a change of the memory table. */
  rebind(): void {
    if (this.#broken) {
      return;
    }
    try {
      this.queue.rebind();
    } catch (error) {
      if (!(error instanceof VirtqueueError)) {
        throw error;
      }
      this.#break(error);
    }
  }

  /** No turn is taken from now on: the device may be told to stop. */
  unlisten(): void {
    this.#stopped = true;
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  /** The device forgot what it kept of this queue, though the same driver stays: those chains come back empty. */
  abandonKept(): void {
    if (!this.#broken) {
      this.queue.abandonKept();
    }
  }

  /** Ends the queue: completions are announced, nothing is touched afterwards. @returns the base for GET_VRING_BASE */
  stop(): number {
    this.unlisten();
    if (!this.#broken) {
      this.queue.flush();
    }
    const { base } = this.queue;
    this.queue.stop();
    return base;
  }

  readonly #deferred = (): void => {
    const { looks } = this.#context;
    this.#scheduled = false;
    this.turn(looks.underWay);
    // With a ring that is never empty the loop comes to no look of its own.
    if (looks.underWay) {
      looks.around();
    }
  };

  #armTimer(): void {
    this.#timer = this.#context.loop.timer(POLL_PERIOD_MS, () => {
      this.turn();
      if (!this.#stopped && !this.#broken) {
        this.#armTimer();
      }
    });
  }

  /** The queue's complaint: about one chain, or about the ring itself, which then is not healthy any more. */
  #report(error: VirtqueueError): void {
    if (!this.queue.healthy) {
      this.#break(error);
      return;
    }
    this.#tell(error, 'chain refused');
  }

  #break(error: VirtqueueError): void {
    if (this.#broken) {
      return;
    }
    this.#broken = true;
    this.#context.counters.ringErrors++;
    this.#tell(error, 'ring broken, it rests until the driver resets the device');
    this.#context.ringError(this.index);
  }

  #tell(error: VirtqueueError, what: string): void {
    const { device, log, logLimit } = this.#context;
    if (logLimit.allow()) {
      log.warn(`${device.name} queue ${this.index}: ${what}: ${error.message}${logLimit.tail()}`, { code: error.code });
    }
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'queue-error', device: device.name, queue: this.index, error, broken: this.#broken });
    }
  }
}
