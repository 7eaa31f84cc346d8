/** How many blobs may be mapped at a time. */
import type { ShmRegion } from '@oriel/shm-region';
import type { Complaints } from '../complaints.ts';
import type { Mapping } from './mapping.ts';

/** The limit of one device. */
export class MappingLimit {
  readonly #own: number;
  readonly #complaints: Complaints;

  /** @param own - mappings, the device's share */
  constructor(own: number, complaints: Complaints) {
    this.#own = own;
    this.#complaints = complaints;
  }

  /** Mappings on their way out make room: the region sends what comes behind them later. */
  reached(region: ShmRegion, mappings: ReadonlyMap<unknown, Mapping>): boolean {
    const most = this.#most(region);
    if (mappings.size < most) return false;
    let staying = 0;
    for (const { state } of mappings.values()) if (state !== 'unmapping') staying++;
    return staying >= most;
  }

  /** Says what to do about it. */
  say(region: ShmRegion, mapped: number): void {
    this.#complaints.say(
      `${mapped} blobs are mapped, and ${this.#most(region)} is the most (the front-end bears ` +
        `${region.limits.maxMappings} in this region): let the guest map fewer, or give this device a larger share`,
    );
  }

  #most(region: ShmRegion): number {
    return Math.min(this.#own, region.limits.maxMappings);
  }
}
