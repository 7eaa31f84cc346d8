/** Resources of a driver that is gone, which the front-end still shows to the guest: their memory lives until it does not. */
import type { ShmRegion } from '@oriel/shm-region';
import { ECANCELED } from '@oriel/sys';
import type { Resource } from '../resources/resource.ts';

/** What front-ends that keep mappings over a reset leave; empty at all others. */
export class Leftovers {
  readonly #onDue: () => void;
  readonly #resources = new Set<Resource>();
  #region: ShmRegion | null = null;
  #due = false;

  /** @param onDue - the region may not send now: `resume` is to be called when it may */
  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  has(resource: Resource): boolean {
    return this.#resources.has(resource);
  }

  /** Takes all that is mapped in a region, and has it unmapped. */
  takeFrom(region: ShmRegion): void {
    this.#region = region;
    for (const { owner } of region.entries()) this.#resources.add(owner as Resource);
    if (this.#resources.size > 0) region.unmapAll((error) => this.#unmapped(region, error));
  }

  /** The region may send again. */
  resume(): void {
    const region = this.#region;
    if (!this.#due || region === null) return;
    this.#due = false;
    for (const resource of [...this.#resources]) region.unmapOwner(resource, (error) => this.#unmapped(region, error));
  }

  /** The region is gone, with all that was in it. */
  clear(): void {
    this.#region = null;
    this.#due = false;
    for (const resource of this.#resources) resource[Symbol.dispose]();
    this.#resources.clear();
  }

  #unmapped(region: ShmRegion, error: number): void {
    if (this.#region !== region || this.#resources.size === 0) return;
    const held = new Set<object>(region.entries().map(({ owner }) => owner));
    for (const resource of [...this.#resources]) {
      if (held.has(resource)) continue;
      this.#resources.delete(resource);
      resource[Symbol.dispose]();
    }
    if (this.#resources.size === 0 || error !== -ECANCELED || this.#due) return;
    this.#due = true;
    this.#onDue();
  }
}
