/** The `DeviceHost` of one connection. */
import type { GuestMemory } from '@oriel/guest-memory';
import type { ShmRegion } from '@oriel/shm-region';
import type { EventLoop, Logger, Offload, Sys } from '@oriel/sys';
import type { DeviceHost, FrontEnd, StateMemory } from './device.ts';
import type { LazyOffload } from './lazy-offload.ts';

/** In place of one who is not known. */
export const NOBODY: FrontEnd = { pid: 0, socket: -1 };

/** What a host hands on to the device. */
export interface HostParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly memory: GuestMemory;
  /** By shmid. */
  readonly regions: ReadonlyMap<number, ShmRegion>;
  readonly offload: LazyOffload;
  readonly frontend?: FrontEnd;
  readonly state?: StateMemory | null;
  readonly configChanged: () => void;
}

/** Gives a device its surroundings for the time of a connection. */
export class ConnectionHost implements DeviceHost {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly memory: GuestMemory;
  readonly frontend: FrontEnd;
  readonly state: StateMemory | null;
  readonly #parts: HostParts;

  constructor(parts: HostParts) {
    this.sys = parts.sys;
    this.loop = parts.loop;
    this.log = parts.log;
    this.memory = parts.memory;
    this.frontend = parts.frontend ?? NOBODY;
    this.state = parts.state ?? null;
    this.#parts = parts;
  }

  region(shmid: number): ShmRegion {
    const region = this.#parts.regions.get(shmid);
    if (region === undefined) {
      throw new RangeError(`the device declares no shared memory region ${shmid}`);
    }
    return region;
  }

  get offload(): Offload {
    return this.#parts.offload.get();
  }

  configChanged(): void {
    this.#parts.configChanged();
  }
}
