/** Blobs in the host-visible region: the life of a mapping from MAP_BLOB to UNMAP_BLOB, and of its memory beyond that. */
import type { ShmRegion } from '@oriel/shm-region';
import { ECANCELED, EINVAL, ENOSPC, errnoName, type Sys } from '@oriel/sys';
import type { Complaints } from '../complaints.ts';
import type { HostBlob } from '../contexts/context-type.ts';
import { forAll } from '../for-all.ts';
import {
  VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { Resource } from '../resources/resource.ts';
import { fileFault } from './blob-file.ts';
import { Leftovers } from './leftovers.ts';
import { type Done, lengthOf, type Mapping, mapRequest, newMapping } from './mapping.ts';
import { MappingLimit } from './mapping-limit.ts';
import { isFree } from './place.ts';

/** Settings. */
export interface BlobMappingsOptions {
  readonly sys: Pick<Sys, 'fd' | 'file' | 'mem'>;
  readonly complaints: Complaints;
  /** Most mappings at a time. */
  readonly maxMappings: number;
  /** The region may not send now: `resume` is to be called when it may. */
  readonly onDue: () => void;
  /** A mapping is about to be asked for. */
  readonly onAsk?: (resource: Resource, shmOffset: number) => void;
}

/** The mappings of a device's blobs; at most one a blob. */
export class BlobMappings {
  readonly #options: BlobMappingsOptions;
  readonly #mappings = new Map<Resource, Mapping>();
  readonly #leftovers: Leftovers;
  readonly #limit: MappingLimit;
  /** Resources whose last map failed: Linux unmaps them all the same. */
  readonly #failed = new WeakSet<Resource>();
  #region: ShmRegion | null = null;

  constructor(options: BlobMappingsOptions) {
    this.#options = options;
    this.#leftovers = new Leftovers(options.onDue);
    this.#limit = new MappingLimit(options.maxMappings, options.complaints);
  }

  /** Mappings that exist or are under way. */
  get size(): number {
    return this.#mappings.size;
  }

  /** Where a resource is mapped, bytes; -1 when it is not. */
  offsetOf(resource: Resource): number {
    const mapping = this.#mappings.get(resource);
    return mapping?.state === 'live' ? mapping.shmOffset : -1;
  }

  /** True when a resource is mapped, or it is under way. */
  has(resource: Resource): boolean {
    return this.#mappings.has(resource);
  }

  /** True when the last map of a resource failed, and it is not mapped. */
  refused(resource: Resource): boolean {
    return this.#failed.has(resource);
  }

  /** True for the file of a blob that is in the window: the front-end gives it back as a memory region. */
  owns(dev: number, ino: number): boolean {
    for (const { file } of this.#mappings.values())
      if (file !== null && file.ino === ino && file.dev === dev) return true;
    return false;
  }

  /** The region of a connection; null at its end, when nothing can be mapped any more. */
  attach(region: ShmRegion | null): void {
    this.#region = region;
    if (region === null) this.#leftovers.clear();
  }

  /** RESOURCE_MAP_BLOB at `shmOffset`. `done` comes once; the mapping is then visible to the guest, or there is none. */
  map(resource: Resource, shmOffset: number, done: Done): void {
    const region = this.#region;
    const { host } = resource;
    const mappable = (resource.blobFlags & VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE) !== 0;
    if (region === null || host === null || !mappable || this.#mappings.has(resource)) {
      done(VIRTIO_GPU_RESP_ERR_UNSPEC);
      return;
    }
    const len = lengthOf(resource, region);
    if (!isFree(region, this.#mappings.values(), shmOffset, len)) {
      this.#sayFault(resource, shmOffset, len, 'there is no room for it');
      this.#failed.add(resource);
      done(VIRTIO_GPU_RESP_ERR_UNSPEC);
      return;
    }
    if (this.#limit.reached(region, this.#mappings)) {
      this.#limit.say(region, this.#mappings.size);
      this.#failed.add(resource);
      done(VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY);
      return;
    }
    const mapping = this.#add(resource, host, shmOffset, len);
    mapping.mapped = done;
    this.#ask(region, mapping);
  }

  /**
   * Takes up a mapping that the front-end holds since a process before.
   * @returns false when the region does not bear it
   */
  takeUp(resource: Resource, shmOffset: number): boolean {
    const region = this.#region;
    const { host } = resource;
    if (region === null || host === null) return false;
    const mapping = this.#add(resource, host, shmOffset, lengthOf(resource, region));
    mapping.state = 'live';
    if (region.adopt(mapRequest(mapping)) === 0) return true;
    this.#mappings.delete(resource);
    return false;
  }

  /** A process before had asked for a mapping, and nobody knows whether it is there: it is not to be. */
  undo(resource: Resource, shmOffset: number): void {
    const region = this.#region;
    if (region === null || resource.host === null) return;
    const { fdOffset } = resource.host;
    region.unmapUncertain({ fdOffset, shmOffset, len: lengthOf(resource, region), writable: true });
  }

  /** The last map of a resource failed, in a process before. */
  takeUpRefused(resource: Resource): void {
    this.#failed.add(resource);
  }

  /** RESOURCE_UNMAP_BLOB. `done` comes once, when the guest does not see the memory any more. */
  unmap(resource: Resource, done: Done): void {
    const mapping = this.#mappings.get(resource);
    if (mapping === undefined || mapping.state === 'unmapping') {
      done(this.#failed.has(resource) ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC);
      return;
    }
    this.#release(mapping, done);
  }

  /** Takes a resource that goes: disposes it when nothing of it is mapped, at once when nothing was; then `done` comes. */
  drop(resource: Resource, done: () => void): void {
    const mapping = this.#mappings.get(resource);
    if (mapping === undefined) {
      resource[Symbol.dispose]();
      done();
      return;
    }
    mapping.dropped = true;
    if (mapping.state === 'unmapping') mapping.unmapped.push(done);
    else this.#release(mapping, done);
  }

  /** The rings run again: what a stop cut short is asked for anew. */
  resume(): void {
    const region = this.#region;
    if (region === null) return;
    this.#leftovers.resume();
    for (const mapping of [...this.#mappings.values()]) {
      if (!mapping.due) continue;
      mapping.due = false;
      if (mapping.state === 'mapping') this.#ask(region, mapping);
      else this.#askUnmap(region, mapping);
    }
  }

  /**
   * Forgets all: a reset. Where the front-end keeps mappings over a reset, the region takes them away. Nobody is called back.
   * The resources of the table are given to `retire` next.
   */
  clear(): void {
    const mappings = [...this.#mappings.values()];
    this.#mappings.clear();
    const region = this.#region;
    if (region !== null) this.#leftovers.takeFrom(region);
    forAll(mappings, ({ resource, dropped }) => {
      if (dropped) this.retire(resource);
    });
  }

  /** Disposes a resource, at a reset: now, or when the front-end has let go of it. */
  retire(resource: Resource): void {
    if (!this.#leftovers.has(resource)) resource[Symbol.dispose]();
  }

  #ask(region: ShmRegion, mapping: Mapping): void {
    const { resource, host, shmOffset, len } = mapping;
    this.#options.onAsk?.(resource, shmOffset);
    const request = {
      ...mapRequest(mapping),
      before: () => {
        mapping.fault = fileFault(this.#options.sys, host, len, region.limits);
        return mapping.fault === null ? 0 : -EINVAL;
      },
    };
    region.map(request, (error) => this.#mapped(mapping, error));
  }

  #add(resource: Resource, host: HostBlob, shmOffset: number, len: number): Mapping {
    const mapping = newMapping(this.#options.sys, resource, host, { shmOffset, len });
    this.#mappings.set(resource, mapping);
    return mapping;
  }

  #mapped(mapping: Mapping, error: number): void {
    const { resource } = mapping;
    if (this.#mappings.get(resource) !== mapping || mapping.state === 'live') return;
    if (error === -ECANCELED && mapping.state === 'mapping') {
      this.#later(mapping);
      return;
    }
    const { mapped } = mapping;
    mapping.mapped = null;
    if (error === 0) {
      this.#failed.delete(resource);
      if (mapping.state === 'mapping') mapping.state = 'live';
      mapped?.(VIRTIO_GPU_RESP_OK_NODATA);
      return;
    }
    this.#failed.add(resource);
    if (mapping.state === 'mapping') this.#mappings.delete(resource);
    if (error !== -ECANCELED) {
      this.#sayFault(resource, mapping.shmOffset, mapping.len, mapping.fault ?? errnoName(-error));
    }
    if (error === -ENOSPC && this.#region !== null) this.#limit.say(this.#region, this.#mappings.size);
    mapped?.(error === -ENOSPC ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY : VIRTIO_GPU_RESP_ERR_UNSPEC);
  }

  #sayFault(resource: Resource, shmOffset: number, len: number, why: string): void {
    this.#options.complaints.say(`resource ${resource.id} is not mapped, ${len} bytes at ${shmOffset}: ${why}`);
  }

  #release(mapping: Mapping, done: Done): void {
    mapping.unmapped.push(done);
    if (mapping.due) {
      // Its map was never sent.
      this.#gone(mapping);
      return;
    }
    mapping.state = 'unmapping';
    this.#askUnmap(this.#region!, mapping);
  }

  #askUnmap(region: ShmRegion, mapping: Mapping): void {
    region.unmapOwner(mapping.resource, (error) => {
      if (this.#mappings.get(mapping.resource) !== mapping) return;
      if (error === -ECANCELED) {
        this.#later(mapping);
        return;
      }
      this.#gone(mapping);
    });
  }

  #later(mapping: Mapping): void {
    mapping.due = true;
    this.#options.onDue();
  }

  #gone(mapping: Mapping): void {
    this.#mappings.delete(mapping.resource);
    if (mapping.dropped) mapping.resource[Symbol.dispose]();
    const { mapped } = mapping;
    mapping.mapped = null;
    mapped?.(VIRTIO_GPU_RESP_ERR_UNSPEC);
    for (const done of mapping.unmapped) done(VIRTIO_GPU_RESP_OK_NODATA);
  }
}
