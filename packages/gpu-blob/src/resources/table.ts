/** All resources of a device, and the limits on them. */
import { isSafeUnsigned } from '@oriel/layout';
import type { Fd, Sys } from '@oriel/sys';
import type { HostBlob } from '../contexts/context-type.ts';
import { forAll } from '../for-all.ts';
import {
  BYTES_PER_PIXEL,
  type GpuStatus,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { RendererResource } from '../render/renderer.ts';
import type { Backing } from './backing.ts';
import { Budget } from './budget.ts';
import { orderOf } from './formats.ts';
import { HostPixels } from './host-pixels.ts';
import { Resource, type ResourceBudgets } from './resource.ts';

/** Largest 2D resource, bytes, and its largest width and height: rows are copied one by one, so they must not be billions. */
const MAX_2D_BYTES = 2 ** 32;
const MAX_2D_PIXELS = 65536;
/** 16 GiB of guest pages that all lie apart, 64 MiB of host memory. */
const DEFAULT_MAX_RANGES = 4 * 1024 * 1024;

/** Settings of a `ResourceTable`. */
export interface ResourceTableOptions {
  readonly sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  /** Bytes of host memory for all resources together. */
  readonly maxHostmem: number;
  /** Resources at a time, those taken out and not yet disposed included. */
  readonly maxResources: number;
  /** Ranges of guest pages of all resources together, 16 bytes of host memory each; default 4 Mi. */
  readonly maxRanges?: number;
}

/** A blob to be. */
export interface NewBlob {
  readonly id: number;
  /** VIRTIO_GPU_BLOB_MEM_*. */
  readonly blobMem: number;
  /** VIRTIO_GPU_BLOB_FLAG_USE_*. */
  readonly blobFlags: number;
  /** Bytes. */
  readonly size: number;
  /** Guest pages; HOST3D blobs have none. */
  readonly backing: Backing | null;
  /** Host memory, given away, also when the blob is refused. */
  readonly host: HostBlob | null;
  /** What `reserve` took for it, given away likewise; 0 when nothing was reserved. */
  readonly hostBytes: number;
}

/**
 * Bounds what a guest can make the host hold. Beyond the budget of host memory a resource costs about a kilobyte, and its
 * guest pages 16 bytes for each range: 256 KiB at most (16384 entries), which is why ranges have a limit of their own.
 */
export class ResourceTable implements Disposable {
  readonly hostmem: Budget;
  /** The pixels of new 2D resources are to outlive this process: they lie in files. */
  inFiles = false;
  readonly #sys: Pick<Sys, 'mem' | 'fd' | 'file'>;
  readonly #budgets: ResourceBudgets;
  readonly #resources = new Map<number, Resource>();

  /** @throws RangeError for a limit that is no whole number */
  constructor(options: ResourceTableOptions) {
    this.#sys = options.sys;
    this.hostmem = new Budget(options.maxHostmem);
    this.#budgets = {
      hostmem: this.hostmem,
      ranges: new Budget(options.maxRanges ?? DEFAULT_MAX_RANGES),
      resources: new Budget(options.maxResources),
    };
  }

  /** Resources that have an id. */
  get size(): number {
    return this.#resources.size;
  }

  get(id: number): Resource | undefined {
    return this.#resources.get(id);
  }

  /** All resources that have an id, in the order of their making. */
  values(): IterableIterator<Resource> {
    return this.#resources.values();
  }

  /**
   * RESOURCE_CREATE_2D. The host memory counts in whole pages, as the system gives it.
   * @param file - memory that a process before gave it, given away; null: it gets new one
   * @returns INVALID_RESOURCE_ID, INVALID_PARAMETER (format or size), OUT_OF_MEMORY, or OK
   */
  create2d(id: number, format: number, width: number, height: number, file: Fd | null = null): GpuStatus {
    using given = file;
    if (this.#taken(id)) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    const bytes = width * height * BYTES_PER_PIXEL;
    const wrong = bytes === 0 || bytes > MAX_2D_BYTES || Math.max(width, height) > MAX_2D_PIXELS;
    if (wrong || orderOf(format) === null) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    const { pageSize } = this.#sys.mem;
    const hostBytes = Math.ceil(bytes / pageSize) * pageSize;
    const status = this.reserve(id, hostBytes);
    if (status !== VIRTIO_GPU_RESP_OK_NODATA) return status;
    const pixels = this.#pixels(given, bytes);
    if (pixels === null) {
      this.hostmem.give(hostBytes);
      return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    }
    this.#add(new Resource(this.#sys, this.#budgets, { id, kind: '2d', format, width, height, pixels, hostBytes }));
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /**
   * Takes host memory for a resource before it is made. What then fails to come must be given back to `hostmem`.
   * @returns INVALID_RESOURCE_ID for 0 and an id in use, OUT_OF_MEMORY, or OK
   */
  reserve(id: number, bytes: number): GpuStatus {
    if (this.#taken(id)) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    if (!this.#budgets.resources.fits(1) || !this.hostmem.take(bytes)) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /**
   * RESOURCE_CREATE_BLOB, once its parts are there.
   * @returns INVALID_RESOURCE_ID; INVALID_PARAMETER for a size of 0 or above 2^53 - 1, and for guest pages that are missing
   * or too few; OUT_OF_MEMORY; or OK
   */
  addBlob(blob: NewBlob): GpuStatus {
    const { id, blobMem, blobFlags, size, backing, host, hostBytes } = blob;
    const status = this.#refuseBlob(blob);
    if (status !== VIRTIO_GPU_RESP_OK_NODATA) {
      this.#refund(host, hostBytes);
      return status;
    }
    const parts = { id, kind: 'blob', blobMem, blobFlags, size, host, hostBytes } as const;
    const resource = new Resource(this.#sys, this.#budgets, parts);
    if (backing !== null) {
      const attached = resource.attach(backing);
      if (attached !== VIRTIO_GPU_RESP_OK_NODATA) {
        this.#refund(host, hostBytes);
        return attached;
      }
    }
    this.#add(resource);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /**
   * RESOURCE_CREATE_3D, once the renderer made it; takes its `hostBytes` from the budget.
   * @param renderer - given away, also when it is refused
   * @returns INVALID_RESOURCE_ID, OUT_OF_MEMORY, or OK
   */
  add3d(id: number, renderer: RendererResource): GpuStatus {
    const { hostBytes, width, height } = renderer;
    const status = this.reserve(id, hostBytes);
    if (status !== VIRTIO_GPU_RESP_OK_NODATA) {
      renderer[Symbol.dispose]();
      return status;
    }
    this.#add(new Resource(this.#sys, this.#budgets, { id, kind: '3d', width, height, renderer, hostBytes }));
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** Takes a resource out, which frees its id. The caller disposes it, later where something still maps or shows it. */
  remove(id: number): Resource | undefined {
    const resource = this.#resources.get(id);
    if (resource !== undefined) this.#resources.delete(id);
    return resource;
  }

  /** Takes all resources out. @param dispose - called for each; default: disposes it */
  clear(dispose: (resource: Resource) => void = (resource) => resource[Symbol.dispose]()): void {
    const gone = [...this.#resources.values()];
    this.#resources.clear();
    forAll(gone, dispose);
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  #pixels(file: Fd | null, bytes: number): HostPixels | null {
    if (file !== null) return HostPixels.of(this.#sys, file, bytes);
    return this.inFiles ? HostPixels.inFile(this.#sys, bytes) : HostPixels.allocate(this.#sys.mem, bytes);
  }

  #taken(id: number): boolean {
    return id === 0 || this.#resources.has(id);
  }

  #refuseBlob(blob: NewBlob): GpuStatus {
    if (this.#taken(blob.id)) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    const wantsPages = blob.blobMem !== VIRTIO_GPU_BLOB_MEM_HOST3D;
    if (blob.size === 0 || !isSafeUnsigned(blob.size) || (wantsPages && blob.backing === null)) {
      return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    return this.#budgets.resources.fits(1) ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
  }

  #refund(host: HostBlob | null, hostBytes: number): void {
    host?.[Symbol.dispose]();
    this.hostmem.give(hostBytes);
  }

  #add(resource: Resource): void {
    this.#budgets.resources.take(1);
    this.#resources.set(resource.id, resource);
  }
}
