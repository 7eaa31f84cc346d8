/** One front-end at a device: translates what the connection reports into the life of queues, regions and the device. */
import type { RegionFile } from '@oriel/guest-memory';
import type { EventLoop, Fd, Logger, Sys } from '@oriel/sys';
import {
  BackendConnection,
  type BackendHandler,
  type FeatureSet,
  type FrontendProfile,
  type RingSetup,
} from '@oriel/vhost-user';
import type { DirtyLog } from '@oriel/virtqueue';
import { ConnectionHost, NOBODY } from './connection-host.ts';
import type { Counters } from './counters.ts';
import type { RegionDeclaration, VirtioDevice } from './device.ts';
import { DeviceRegions } from './device-regions.ts';
import { DeviceRings } from './device-rings.ts';
import { publish, virtioChannel } from './diagnostics.ts';
import { DriverSession } from './driver-session.ts';
import { DeviceError } from './errors.ts';
import { transportFeatures, VIRTIO_F_VERSION_1 } from './features.ts';
import type { LazyOffload } from './lazy-offload.ts';
import type { FrozenDevice } from './survival/frozen-device.ts';
import { FoundArea } from './survival/inflight-area.ts';
import type { Survival } from './survival/survival.ts';

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
  /** Null: nothing outlives the process. */
  readonly survival: Survival | null;
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
  readonly inflight: boolean;
  /** Not with a region: what is mapped there cannot move to another host, and front-ends refuse to migrate it. */
  readonly dirtyLog: boolean;
  /** Absent where the device has none that could be told: DEVICE_STATE is not offered then. */
  readonly saveState?: (to: Fd, done: (ok: boolean) => void) => void;
  readonly loadState?: (from: Fd, done: (ok: boolean) => void) => void;
  /** Absent where the device has no display: the connection then refuses the message. */
  readonly setGpuSocket?: (socket: Fd) => void;

  readonly #options: ConnectionOptions;
  readonly #device: VirtioDevice;
  readonly #connection: BackendConnection;
  readonly #regions: DeviceRegions;
  readonly #rings: DeviceRings;
  readonly #session: DriverSession;
  #poller: Disposable | null = null;
  #attached = false;

  /**
   * Takes the front-end on: attaches the device.
   * @param source - a connected socket, or what another process left of a connection; given away, also when this throws
   */
  constructor(source: Fd | FrozenDevice, options: ConnectionOptions) {
    const { device, sys, loop, profile, log } = options;
    const state = options.survival?.state ?? null;
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
    if (device.saveState !== undefined && device.loadState !== undefined && this.shmRegions.length === 0) {
      this.saveState = (to, done) => this.#save(to, done);
      this.loadState = (from, done) => this.#load(from, done);
    }
    this.inflight = options.survival !== null;
    this.dirtyLog = this.shmRegions.length === 0;
    const common = { sys, loop, profile, handler: this, log };
    const frozen = 'rings' in source ? source : null;
    const frontend =
      'rings' in source ? NOBODY : { pid: Math.max(0, sys.socket.peerPid(source.fd)), socket: source.fd };
    this.#connection =
      'rings' in source
        ? BackendConnection.thaw(common, source.connection)
        : new BackendConnection({ ...common, socket: source });
    this.#regions = new DeviceRegions(this.shmRegions, {
      limits: profile.limits,
      maxMappings: options.maxMappings,
      transport: this.#connection.mapTransport,
      log,
    });
    const { memory } = this.#connection;
    const ringError = (index: number): void => this.#connection.ringError(index);
    this.#rings = new DeviceRings({ ...options, memory, ringError });
    this.#rings.takeOver(frozen?.rings.queues ?? []);
    const before = frozen?.rings.history;
    this.#session = new DriverSession({ ...options, rings: this.#rings, regions: this.#regions, state, before });
    try {
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
        frontend,
        state,
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
    this.#rings.addStats(into);
    this.#regions.addStats(regions);
  }

  /**
   * Writes the connection down for another process and lets it go: the device writes its state and is detached, the front-end
   * notices nothing.
   * @throws VhostUserError ERR_VU_STATE while a message is under way: try again later, all is as it was
   */
  freeze(): FrozenDevice {
    const connection = this.#connection.freeze();
    this.#device.save?.();
    this.#release();
    return { connection, rings: { queues: this.#rings.left, history: this.#session.history } };
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
    this.#session.accept(features);
  }

  needsMemory(file: RegionFile): boolean {
    return this.#device.needsMemory?.(file) ?? true;
  }

  memoryChanged(): void {
    this.#rings.rebind();
  }

  releaseMemory(unmap: () => void): void {
    this.#options.offload.afterPending(unmap);
  }

  resumed(): void {
    this.#session.resumed();
    if (this.#options.poll) {
      this.#poller = this.#options.loop.addPoller(this.#rings.poll, () => this.#regions.busy);
    }
    this.#options.onRunning(true);
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'running', device: this.#device.name });
    }
  }

  suspended(): void {
    this.#poller?.[Symbol.dispose]();
    this.#poller = null;
    this.#rings.endLooks();
    this.#session.suspended();
    this.#options.onRunning(false);
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'suspended', device: this.#device.name });
    }
  }

  startRing(setup: RingSetup): void {
    const { accepted } = this.#session;
    if (accepted?.has(VIRTIO_F_VERSION_1) !== true) {
      throw new DeviceError(
        'ERR_DEVICE_FEATURES',
        'the driver did not accept VIRTIO_F_VERSION_1: legacy is not served',
      );
    }
    const { index, size, base, inflight } = setup;
    // Looked at before the queue is made, which takes it in use.
    const area = new FoundArea(inflight);
    const ring = this.#rings.make(setup, accepted);
    try {
      this.#session.start(ring, setup, area);
    } catch (error) {
      ring.stop();
      throw error;
    }
    this.#rings.add(ring);
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'queue-start', device: this.#device.name, queue: index, size, base });
    }
  }

  logRing(index: number, dirty: DirtyLog | null): void {
    this.#rings.log(index, dirty);
  }

  stopRing(index: number): number {
    const ring = this.#rings.stop(index);
    if (ring === null) {
      return 0;
    }
    this.#session.stopped(ring);
    return ring.queue.base;
  }

  setCall(index: number, fd: number): void {
    this.#rings.setCall(index, fd);
  }

  reset(): void {
    this.#session.reset();
  }

  disconnected(reason: string): void {
    if (this.#release()) {
      this.#options.onEnd(reason);
    }
  }

  /** Ends the connection: queues stop, the device is detached, `onEnd` comes. */
  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  /** Chains that a queue kept would be lost: another host cannot take them back. */
  #save(to: Fd, done: (ok: boolean) => void): void {
    const { name } = this.#device;
    if (this.#rings.left.some((queue) => queue !== null && queue.kept.length > 0)) {
      to.close();
      throw new DeviceError('ERR_DEVICE_STATE', `device ${name}: chains are kept over the stop of a queue`);
    }
    this.#device.saveState!(to, done);
  }

  #load(from: Fd, done: (ok: boolean) => void): void {
    this.#session.load();
    this.#device.loadState!(from, done);
  }

  /** The device is on its own again. @returns false when it was before */
  #release(): boolean {
    this.#regions.end();
    if (!this.#attached) {
      return false;
    }
    this.#attached = false;
    this.#device.detach();
    if (virtioChannel.hasSubscribers) {
      publish({ type: 'disconnected', device: this.#device.name });
    }
    return true;
  }
}
