/** Tells a back-end of its mappings by the memory table, after they were answered: what QEMU does. */
import type { Logger } from '@oriel/sys';
import type { ShmemRequest, WindowPlacement } from './handlers.ts';
import type { Done } from './sequence.ts';
import type { RegionName, SharedRegion } from './shared-region.ts';

/** What the announcer needs of the connection. */
export interface AnnouncerOptions {
  readonly log: Logger;
  /** Where a window lies; null: not told. */
  readonly place: (shmid: number) => WindowPlacement | null;
  /** CONFIGURE_MEM_SLOTS was negotiated. */
  readonly hasSlots: () => boolean;
  readonly add: (region: SharedRegion, done: Done) => void;
  readonly remove: (region: RegionName, done: Done) => void;
}

/** ADD_MEM_REG and REM_MEM_REG for mappings. */
export class Announcer {
  readonly #options: AnnouncerOptions;
  readonly #told = new Map<string, RegionName>();

  constructor(options: AnnouncerOptions) {
    this.#options = options;
  }

  /** @param fd - lent for the call */
  mapped(request: ShmemRequest, fd: number): void {
    const place = this.#options.place(request.shmid);
    if (place === null || !this.#options.hasSlots()) {
      return;
    }
    const region = {
      gpa: place.gpa + request.shmOffset,
      size: request.len,
      userAddr: place.userAddr + request.shmOffset,
    };
    this.#told.set(key(request), region);
    this.#options.add({ ...region, mmapOffset: request.fdOffset, fd }, (error) => this.#check('ADD_MEM_REG', error));
  }

  unmapped(request: ShmemRequest): void {
    const region = this.#told.get(key(request));
    if (region !== undefined) {
      this.#told.delete(key(request));
      this.#options.remove(region, (error) => this.#check('REM_MEM_REG', error));
    }
  }

  #check(message: string, error: Error | null): void {
    if (error !== null) {
      this.#options.log.warn('memory-table update failed', { message, error: error.message });
    }
  }
}

function key(request: ShmemRequest): string {
  return `${request.shmid}:${request.shmOffset}:${request.len}`;
}
