/** The back-end's side of a connection: a region with its ledger, and a device that does nothing else. */
import type { BackendRegion } from '@oriel/shm-region';
import type { EventLoop, Fd, Sys } from '@oriel/sys';
import { BackendConnection, type BackendHandler, FeatureSet, type FrontendProfile } from '@oriel/vhost-user';
import { type Library, realLibrary } from './library.ts';

/** The one region of these devices. */
export const SHMID = 0;
/** VIRTIO_F_VERSION_1. */
const FEATURES = FeatureSet.of(32);
const MAX_QUEUE_SIZE = 256;

export interface BackSideOptions {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly profile: FrontendProfile;
  /** Bytes of the region. */
  readonly size: number;
  readonly library?: Library;
  /** The rings run. */
  readonly onResumed?: () => void;
}

export class BackSide implements Disposable {
  readonly region: BackendRegion;
  readonly #options: BackSideOptions;
  #connection: BackendConnection | null = null;

  constructor(options: BackSideOptions) {
    const { library = realLibrary, size, profile } = options;
    this.#options = options;
    this.region = new library.BackendRegion({ shmid: SHMID, size, limits: profile.limits });
  }

  /** @throws RangeError while nobody has connected */
  get connection(): BackendConnection {
    if (this.#connection === null) {
      throw new RangeError('nobody is connected');
    }
    return this.#connection;
  }

  /** @param socket - given away */
  connect(socket: Fd): void {
    const { sys, loop, profile } = this.#options;
    this.#connection = new BackendConnection({ sys, loop, socket, profile, handler: this.#handler() });
    this.region.setTransport(this.#connection.mapTransport);
  }

  [Symbol.dispose](): void {
    this.#connection?.[Symbol.dispose]();
  }

  #handler(): BackendHandler {
    const { region } = this;
    const { size, profile, onResumed } = this.#options;
    return {
      features: FEATURES,
      queueCount: 1,
      maxQueueSize: MAX_QUEUE_SIZE,
      configSize: 0,
      shmRegions: [{ shmid: SHMID, size }],
      readConfig: () => {},
      writeConfig: () => {},
      setFeatures: () => {},
      memoryChanged: () => {},
      startRing: () => onResumed?.(),
      stopRing: () => 0,
      setCall: () => {},
      resumed: () => region.resume(),
      suspended: () => region.suspend(),
      reset: () => {
        if (profile.resetClears) {
          region.forget();
        }
      },
      disconnected: () => region.setTransport(null),
    };
  }
}
