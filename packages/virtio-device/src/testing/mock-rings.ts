/** The device's side of the queues of a `MockHost`: they start where the front-end says, and stop with nothing in flight. */
import type { GuestMemory } from '@oriel/guest-memory';
import { type EventLoop, type Logger, type Sys, silentLogger } from '@oriel/sys';
import { Counters } from '../counters.ts';
import type { VirtioDevice } from '../device.ts';
import { DeviceRings } from '../device-rings.ts';
import { FoundArea } from '../survival/inflight-area.ts';
import type { MockQueues } from './mock-queues.ts';

const DEFAULT_BATCH = 64;

/** What the rings stand on. */
export interface MockRingsOptions {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly log?: Logger;
  /** Chains per process() call; default 64. */
  readonly batch?: number;
}

/** All rings of one device after the other. */
export class MockRings {
  readonly counters = new Counters();
  /** Queues that a device broke off with an error of the ring. */
  readonly broken: number[] = [];
  readonly #options: MockRingsOptions;
  readonly #memory: GuestMemory;
  readonly #queues: MockQueues;
  #device: VirtioDevice;
  #rings: DeviceRings;

  constructor(options: MockRingsOptions, memory: GuestMemory, queues: MockQueues, device: VirtioDevice) {
    this.#options = options;
    this.#memory = memory;
    this.#queues = queues;
    this.#device = device;
    this.#rings = this.#make();
  }

  get running(): boolean {
    return this.#rings.running.length > 0;
  }

  /** @param begin - comes first: whether the ring is one that a device had before */
  start(index: number, begin: (known: boolean) => void): void {
    const setup = this.#queues.setup(index);
    const { start } = this.#queues.drivers[index]!;
    const area = new FoundArea(setup.inflight);
    const ring = this.#rings.make(setup, this.#queues.features);
    const known = area.isOf(ring.queue, setup, start);
    begin(known);
    this.#device.startQueue(index, ring.queue, !known && setup.base === start && ring.queue.outstanding === 0);
    this.#rings.add(ring);
  }

  /** Harmless for one that does not run. @throws RangeError for chains that the device neither completed, unfetched nor kept */
  stop(index: number): void {
    const ring = this.#rings.stop(index);
    if (ring === null) {
      return;
    }
    const { inFlight, base } = ring.queue;
    if (inFlight > 0) {
      throw new RangeError(
        `queue ${index} stopped with ${inFlight} chains that were neither completed, unfetched nor kept`,
      );
    }
    this.#queues.stopped(index, base);
  }

  /** The driver starts afresh. */
  forget(): void {
    this.#rings.forget();
  }

  /** The device is killed: what it does reaches no ring any more. `replace` follows. */
  abandon(): void {
    for (const ring of this.#rings.running) {
      ring.unlisten();
      ring.queue.stop();
      this.counters.fold(ring.queue.stats);
    }
  }

  /** Another device is in the machine. */
  replace(device: VirtioDevice): void {
    this.#device = device;
    this.#rings = this.#make();
  }

  #make(): DeviceRings {
    const { sys, loop, log = silentLogger, batch = DEFAULT_BATCH } = this.#options;
    const rings = new DeviceRings({
      device: this.#device,
      sys,
      loop,
      log,
      batch,
      counters: this.counters,
      memory: this.#memory,
      ringError: (broken) => this.broken.push(broken),
    });
    for (const [index, fd] of this.#queues.callFds.entries()) {
      rings.setCall(index, fd);
    }
    return rings;
  }
}
