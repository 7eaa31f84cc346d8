/** One front-end at a device: translates what the connection reports into the life of queues, regions and the device. */
import type { RegionFile } from '@oriel/guest-memory';
import type { EventLoop, Fd, Logger, LoopTimer, Sys } from '@oriel/sys';
import {
  BackendConnection,
  type BackendHandler,
  type FeatureSet,
  type FrontendProfile,
  type RingSetup,
} from '@oriel/vhost-user';
import {
  PACKED_RING_START,
  type QueueState,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
} from '@oriel/virtqueue';
import { ConnectionHost } from './connection-host.ts';
import type { Counters } from './counters.ts';
import type { RegionDeclaration, VirtioDevice } from './device.ts';
import { DeviceRegions } from './device-regions.ts';
import { publish, virtioChannel } from './diagnostics.ts';
import { DeviceError } from './errors.ts';
import { transportFeatures, VIRTIO_F_VERSION_1 } from './features.ts';
import type { LazyOffload } from './lazy-offload.ts';
import { RateLimit } from './rate-limit.ts';
import { Ring, type RingContext } from './ring.ts';
import { RunHistory } from './run-history.ts';

/**
 * How long rings that ran before may stay away after others of them started, ms. A VM that goes on starts them all at once, a
 * driver that leaves some out is a new one. A wrong guess costs a guest its mount, a late one is only late: so this is long
 * enough for a front-end that is held up between two messages.
 */
const UNDECIDED_MS = 5000;

/** What a server gives to each of its connections. */
export interface ConnectionOptions {
  readonly device: VirtioDevice;
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly profile: FrontendProfile;
  readonly log: Logger;
  readonly offload: LazyOffload;
  /** Live mappings that all regions of the device may hold together. */
  readonly maxMappings: number;
  /** Ring features offered beside those of every device. */
  readonly ringFeatures: FeatureSet;
  readonly batch: number;
  readonly poll: boolean;
  readonly counters: Counters;
  readonly onRunning: (running: boolean) => void;
  /** Comes once, when the front-end is gone and the device is detached. */
  readonly onEnd: (reason: string) => void;
}

/** The back-end handler of a device for one connection. */
export class DeviceConnection implements BackendHandler, Disposable {
  readonly features: FeatureSet;
  readonly queueCount: number;
  readonly maxQueueSize: number;
  readonly configSize: number;
  readonly shmRegions: readonly RegionDeclaration[];
  /** Absent where the device has no display: the connection then refuses the message. */
  readonly setGpuSocket?: (socket: Fd) => void;

  readonly #options: ConnectionOptions;
  readonly #device: VirtioDevice;
  readonly #connection: BackendConnection;
  readonly #regions: DeviceRegions;
  readonly #rings: (Ring | null)[];
  /** What the last queue of each ring left. */
  readonly #states: (QueueState | null)[];
  readonly #callFds: Int32Array;
  readonly #history: RunHistory;
  readonly #logLimit: RateLimit;
  #accepted: FeatureSet | null = null;
  #poller: Disposable | null = null;
  #undecided: LoopTimer | null = null;
  #attached = false;

  /**
   * Takes the front-end on: attaches the device.
   * @param socket - connected; given away, also when this throws
   */
  constructor(socket: Fd, options: ConnectionOptions) {
    const { device, sys, loop, profile, log } = options;
    this.#options = options;
    this.#device = device;
    this.features = transportFeatures.with(...options.ringFeatures.bits(), ...device.features.bits());
    this.queueCount = device.queueCount;
    this.maxQueueSize = device.maxQueueSize;
    this.configSize = device.config.length;
    this.shmRegions = device.shmRegions ?? [];
    if (device.setDisplaySocket !== undefined) {
      this.setGpuSocket = (display) => device.setDisplaySocket!(display);
    }
    this.#rings = new Array<Ring | null>(device.queueCount).fill(null);
    this.#states = new Array<QueueState | null>(device.queueCount).fill(null);
    this.#callFds = new Int32Array(device.queueCount).fill(-1);
    this.#history = new RunHistory(device.queueCount);
    this.#logLimit = new RateLimit(() => sys.loop.nowNs());
    const frontendPid = Math.max(0, sys.socket.peerPid(socket.fd));
    this.#connection = new BackendConnection({ sys, loop, socket, profile, handler: this, log });
    this.#regions = new DeviceRegions(this.shmRegions, {
      limits: profile.limits,
      maxMappings: options.maxMappings,
      transport: this.#connection.mapTransport,
      log,
    });
    try {
      const { memory } = this.#connection;
      const regions = this.#regions.byId;
      const configChanged = (): void => {
        if (!this.#connection.closed) {
          this.#connection.configChanged();
        }
      };
      const host = new ConnectionHost({
        sys,
        loop,
        log,
        memory,
        regions,
        offload: options.offload,
        frontendPid,
        configChanged,
      });
      device.attach(host);
      this.#attached = true;
    } catch (error) {
      this.#connection[Symbol.dispose]();
      throw error;
    }
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'connected', device: device.name });
    }
  }

  /** Counts of the queues that run now and of the regions, added to `into`. */
  addStats(into: Counters, regions: Record<string, number>): void {
    for (const ring of this.#rings) {
      if (ring !== null) {
        into.fold(ring.queue.stats);
      }
    }
    this.#regions.addStats(regions);
  }

  readConfig(offset: number, into: Uint8Array): void {
    into.set(this.#device.config.subarray(offset, offset + into.length));
  }

  writeConfig(offset: number, from: Uint8Array): void {
    if (this.#device.writeConfig === undefined) {
      throw new DeviceError('ERR_DEVICE_FEATURES', `device ${this.#device.name}: the configuration space is read-only`);
    }
    this.#device.writeConfig(offset, from);
  }

  setFeatures(features: FeatureSet): void {
    this.#accepted = features;
    this.#history.freshBase = features.has(VIRTIO_F_RING_PACKED) ? PACKED_RING_START : 0;
    this.#tellFeatures();
  }

  needsMemory(file: RegionFile): boolean {
    return this.#device.needsMemory?.(file) ?? true;
  }

  memoryChanged(): void {
    for (const ring of this.#rings) {
      ring?.rebind();
    }
  }

  releaseMemory(unmap: () => void): void {
    this.#options.offload.afterPending(unmap);
  }

  resumed(): void {
    this.#history.begin();
    if (this.#history.open) {
      this.#undecided = this.#options.loop.timer(UNDECIDED_MS, () => this.#newDriver());
    } else {
      this.#openRegions();
    }
    if (this.#options.poll) {
      this.#poller = this.#options.loop.addPoller(this.#poll, () => this.#regions.busy);
    }
    this.#options.onRunning(true);
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'running', device: this.#device.name });
    }
  }

  suspended(): void {
    this.#poller?.[Symbol.dispose]();
    this.#poller = null;
    this.#decided();
    this.#regions.suspend();
    this.#options.onRunning(false);
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'suspended', device: this.#device.name });
    }
  }

  startRing(setup: RingSetup): void {
    if (this.#accepted?.has(VIRTIO_F_VERSION_1) !== true) {
      throw new DeviceError(
        'ERR_DEVICE_FEATURES',
        'the driver did not accept VIRTIO_F_VERSION_1: legacy is not served',
      );
    }
    const { index, size, base } = setup;
    const state = this.#states[index];
    const ring = new Ring(this.#ringContext(this.#accepted), setup, state?.base === base ? state.kept : []);
    const { outstanding, blank } = ring.queue;
    const start = { base, outstanding, blank };
    const verdict = this.#history.judge(index, start);
    if (verdict === 'reset') {
      this.#newDriver();
    } else if (verdict === 'continue') {
      this.#openRegions();
    }
    try {
      this.#device.startQueue(index, ring.queue, this.#history.fresh(index, start));
    } catch (error) {
      ring.stop();
      throw error;
    }
    this.#rings[index] = ring;
    try {
      ring.listen();
    } catch (error) {
      this.stopRing(index);
      throw error;
    }
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'queue-start', device: this.#device.name, queue: index, size, base });
    }
  }

  stopRing(index: number): number {
    const ring = this.#rings[index];
    if (ring === null || ring === undefined) {
      return 0;
    }
    ring.unlisten();
    this.#device.stopQueue(index);
    const base = ring.stop();
    this.#rings[index] = null;
    this.#states[index] = ring.queue.state;
    this.#history.stopped(index, base, ring.queue.outstanding, ring.queue.stats.chains > 0);
    this.#options.counters.fold(ring.queue.stats);
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'queue-stop', device: this.#device.name, queue: index, base });
    }
    return base;
  }

  setCall(index: number, fd: number): void {
    this.#callFds[index] = fd;
  }

  reset(): void {
    this.#history.clear();
    this.#states.fill(null);
    this.#resetDevice();
    this.#tellFeatures();
  }

  disconnected(reason: string): void {
    this.#regions.end();
    if (this.#attached) {
      this.#attached = false;
      this.#device.detach();
      if (virtioChannel.hasSubscribers) {
        publish({ type: 'disconnected', device: this.#device.name });
      }
      this.#options.onEnd(reason);
    }
  }

  /** Ends the connection: queues stop, the device is detached, `onEnd` comes. */
  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  #ringContext(accepted: FeatureSet): RingContext {
    const { device, loop, sys, log, counters, batch } = this.#options;
    return {
      device,
      loop,
      eventfd: sys.loop,
      memory: this.#connection.memory,
      log,
      logLimit: this.#logLimit,
      counters,
      batch,
      packed: accepted.has(VIRTIO_F_RING_PACKED),
      inOrder: accepted.has(VIRTIO_F_IN_ORDER),
      eventIdx: accepted.has(VIRTIO_RING_F_EVENT_IDX),
      indirect: accepted.has(VIRTIO_RING_F_INDIRECT_DESC),
      callFds: this.#callFds,
      ringError: (index) => this.#connection.ringError(index),
    };
  }

  /** Turns for rings with work and no kick taken yet: the loop asks while it spins, and once before it sleeps. */
  readonly #poll = (sleeping: boolean): boolean => {
    let found = false;
    for (let index = 0; index < this.#rings.length; index++) {
      if (this.#rings[index]?.poll(sleeping) === true) {
        found = true;
      }
    }
    return found;
  };

  #tellFeatures(): void {
    if (this.#accepted !== null) {
      this.#device.setFeatures?.(this.#accepted.and(this.#device.features));
    }
  }

  #decided(): void {
    this.#undecided?.[Symbol.dispose]();
    this.#undecided = null;
  }

  /** Regions send nothing before it is known whether their mappings still exist: what is due might be refused. */
  #openRegions(): void {
    this.#decided();
    this.#regions.resume();
  }

  /**
   * A ring that ran before starts at base 0, or not at all: the driver reset the device in between. Rings that started in the
   * same run, but could not tell, start again behind the reset.
   */
  #newDriver(): void {
    this.#history.clear();
    this.#states.fill(null);
    this.#options.log.debug(`${this.#device.name}: a new driver`);
    for (const ring of this.#rings) {
      if (ring !== null) {
        this.#device.stopQueue(ring.index);
      }
    }
    this.#resetDevice();
    this.#tellFeatures();
    this.#openRegions();
    for (const ring of this.#rings) {
      if (ring !== null) {
        ring.abandonKept();
        this.#device.startQueue(ring.index, ring.queue, true);
        ring.wake();
      }
    }
  }

  #resetDevice(): void {
    const { counters, profile } = this.#options;
    counters.resets++;
    if (profile.resetClears) {
      this.#regions.forget();
    }
    this.#device.reset();
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'reset', device: this.#device.name });
    }
  }
}
