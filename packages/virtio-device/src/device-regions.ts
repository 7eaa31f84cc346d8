/** The shared memory regions of a device for one connection. */
import { BackendRegion, type MapTransport, type RegionLimits } from '@oriel/shm-region';
import type { Logger } from '@oriel/sys';
import type { RegionDeclaration } from './device.ts';
import { RateLimit } from './rate-limit.ts';

const NS_PER_MS = 1e6;

/** What the regions stand on. */
export interface RegionsOptions {
  readonly limits: RegionLimits;
  /** Live mappings of all regions together: each gets an equal share. */
  readonly maxMappings: number;
  readonly transport: MapTransport;
  readonly log: Logger;
}

/** All regions of a device, led through the life of a connection together. They begin suspended. */
export class DeviceRegions {
  /** By shmid. */
  readonly byId: ReadonlyMap<number, BackendRegion>;

  constructor(declared: readonly RegionDeclaration[], options: RegionsOptions) {
    const { maxMappings, transport } = options;
    const log = limited(options.log);
    const share = Math.max(1, Math.floor(maxMappings / Math.max(1, declared.length)));
    const limits = { ...options.limits, maxMappings: share };
    this.byId = new Map(declared.map(({ shmid, size }) => [shmid, new BackendRegion({ shmid, size, limits, log })]));
    for (const region of this.byId.values()) {
      region.setTransport(transport);
      region.suspend();
    }
  }

  /** The front-end works on some request, and its answer is what comes next. */
  get busy(): boolean {
    for (const region of this.byId.values()) {
      if (region.busy) {
        return true;
      }
    }
    return false;
  }

  /** Requests may be sent from now on. */
  resume(): void {
    for (const region of this.byId.values()) {
      region.resume();
    }
  }

  /** Nothing is sent until `resume`. */
  suspend(): void {
    for (const region of this.byId.values()) {
      region.suspend();
    }
  }

  /** The front-end dropped all mappings. */
  forget(): void {
    for (const region of this.byId.values()) {
      region.forget();
    }
  }

  /** The connection ends. */
  end(): void {
    for (const region of this.byId.values()) {
      region.forget();
      region.setTransport(null);
    }
  }

  /** Adds the counters of each region to `into`, by name. */
  addStats(into: Record<string, number>): void {
    for (const { stats } of this.byId.values()) {
      for (const [name, value] of Object.entries(stats)) {
        into[name] = (into[name] ?? 0) + value;
      }
    }
  }
}

/** A guest can repeat what the front-end refuses: warnings come ten a second at most. */
function limited(log: Logger): Logger {
  const limit = new RateLimit(() => performance.now() * NS_PER_MS);
  return {
    ...log,
    warn(message, fields) {
      if (limit.allow()) {
        log.warn(`${message}${limit.tail()}`, fields);
      }
    },
  };
}
