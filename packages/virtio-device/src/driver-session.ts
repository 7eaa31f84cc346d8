/**
 * Whose driver it is: whether the one that had the device goes on, over a pause, a lost connection or a killed process, or a
 * new one came. Devices and regions hear of it here.
 */
import type { EventLoop, Logger, LoopTimer } from '@oriel/sys';
import type { FeatureSet, FrontendProfile, RingSetup } from '@oriel/vhost-user';
import { PACKED_RING_START, VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import type { Counters } from './counters.ts';
import type { VirtioDevice } from './device.ts';
import type { DeviceRegions } from './device-regions.ts';
import type { DeviceRings } from './device-rings.ts';
import { publish, virtioChannel } from './diagnostics.ts';
import type { Ring } from './ring.ts';
import { type HistoryState, RunHistory } from './run-history.ts';
import type { FoundArea } from './survival/inflight-area.ts';
import type { SessionState } from './survival/session-state.ts';

/**
 * How long rings that ran before may stay away after others of them started, ms. A VM that goes on starts them all at once, a
 * driver that leaves some out is a new one. A wrong guess costs a guest its mount, a late one is only late: so this is long
 * enough for a front-end that is held up between two messages.
 */
const UNDECIDED_MS = 5000;

/** What a session leads. */
export interface DriverSessionOptions {
  readonly device: VirtioDevice;
  readonly loop: EventLoop;
  readonly profile: FrontendProfile;
  readonly log: Logger;
  readonly counters: Counters;
  readonly rings: DeviceRings;
  readonly regions: DeviceRegions;
  /** Of the device, where it has any. */
  readonly state: SessionState | null;
  /** What the process before knew of the rings, where it handed them over. */
  readonly before: HistoryState | undefined;
}

/** The driver of one connection, as far as it is known. */
export class DriverSession {
  readonly #options: DriverSessionOptions;
  readonly #history: RunHistory;
  #accepted: FeatureSet | null = null;
  #undecided: LoopTimer | null = null;
  /** A ring has started on this connection. */
  #begun = false;

  constructor(options: DriverSessionOptions) {
    this.#options = options;
    this.#history = new RunHistory(options.device.queueCount, options.before);
  }

  /** What is known of the rings, for another one that goes on. */
  get history(): HistoryState {
    return this.#history.state;
  }

  /** What the driver accepted; null before. */
  get accepted(): FeatureSet | null {
    return this.#accepted;
  }

  /** The driver accepted features. */
  accept(features: FeatureSet): void {
    this.#accepted = features;
    this.#history.freshBase = features.has(VIRTIO_F_RING_PACKED) ? PACKED_RING_START : 0;
    // While rings run they are the same as before: only logging was switched.
    if (this.#options.rings.running.length === 0) {
      this.#tellFeatures();
    }
  }

  /** The first ring is about to start. */
  resumed(): void {
    this.#history.begin();
    if (this.#history.open) {
      this.#undecided = this.#options.loop.timer(UNDECIDED_MS, () => this.#newDriver());
    } else {
      this.#openRegions();
    }
  }

  /** The last ring has stopped. */
  suspended(): void {
    this.#decided();
    this.#options.regions.suspend();
  }

  /** A ring starts: gives the device its queue. @param area - of the ring, before the queue had it */
  start(ring: Ring, setup: RingSetup, area: FoundArea): void {
    const { outstanding, blank } = ring.queue;
    const known = area.isOf(ring.queue, setup, this.#history.freshBase);
    const start = { base: setup.base, outstanding, blank, known };
    const verdict = this.#history.judge(ring.index, start);
    this.#begin(known || (this.#options.before !== undefined && verdict !== 'reset'));
    if (verdict === 'reset') {
      this.#newDriver();
    } else if (verdict === 'continue') {
      this.#openRegions();
    }
    this.#options.device.startQueue(ring.index, ring.queue, this.#history.fresh(ring.index, start));
  }

  /** A ring stopped. */
  stopped({ index, queue }: Ring): void {
    this.#history.stopped(index, queue.base, queue.outstanding, queue.stats.chains > 0);
  }

  /** The session of another host is about to be loaded: it is the one that begins. The rings are stopped. */
  load(): void {
    this.reset();
    this.#begun = true;
  }

  /** RESET_DEVICE, or a status that means it; the rings are stopped. */
  reset(): void {
    this.#history.clear();
    this.#options.rings.forget();
    this.#resetDevice();
    this.#tellFeatures();
  }

  /**
   * The first ring of a connection tells whether the session before goes on.
   * @param known - the driver of that session goes on
   */
  #begin(known: boolean): void {
    if (this.#begun) {
      return;
    }
    this.#begun = true;
    const { device, state, log } = this.#options;
    if (state?.begin(device, known) === false) {
      log.warn(`${device.name}: the state of the session is lost, the device begins anew under a driver that goes on`);
    }
  }

  #tellFeatures(): void {
    const { device } = this.#options;
    if (this.#accepted !== null) {
      device.setFeatures?.(this.#accepted.and(device.features));
    }
  }

  #decided(): void {
    this.#undecided?.[Symbol.dispose]();
    this.#undecided = null;
  }

  /** Regions send nothing before it is known whether their mappings still exist: what is due might be refused. */
  #openRegions(): void {
    this.#decided();
    this.#options.regions.resume();
  }

  /**
   * A ring that ran before starts at base 0, or not at all: the driver reset the device in between. Rings that started in the
   * same run, but could not tell, start again behind the reset.
   */
  #newDriver(): void {
    const { device, log, rings } = this.#options;
    this.#history.clear();
    rings.forget();
    log.debug(`${device.name}: a new driver`);
    const { running } = rings;
    for (const { index } of running) {
      device.stopQueue(index);
    }
    this.#resetDevice();
    this.#tellFeatures();
    this.#openRegions();
    for (const ring of running) {
      ring.abandonKept();
      device.startQueue(ring.index, ring.queue, true);
      ring.wake();
    }
  }

  #resetDevice(): void {
    const { counters, profile, regions, device, state } = this.#options;
    counters.resets++;
    if (profile.resetClears) {
      regions.forget();
    }
    state?.clear();
    device.reset();
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'reset', device: device.name });
    }
  }
}
