/** One resource of the guest: what it is, and what it holds of the host. */
import { rangeFits } from '@oriel/layout';
import { EFAULT, EINTR, EINVAL, type Sys } from '@oriel/sys';
import type { HostBlob } from '../contexts/context-type.ts';
import {
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { RendererResource } from '../render/renderer.ts';
import type { Backing } from './backing.ts';
import type { Budget } from './budget.ts';
import type { HostPixels } from './host-pixels.ts';

/** What all resources of a table draw on. */
export interface ResourceBudgets {
  /** Host memory, bytes. */
  readonly hostmem: Budget;
  /** Ranges of guest pages. */
  readonly ranges: Budget;
  /** Resources. */
  readonly resources: Budget;
}

/** What a resource is made of; see the members of `Resource`. */
export interface ResourceParts {
  readonly id: number;
  readonly kind: '2d' | 'blob' | '3d';
  readonly width?: number;
  readonly height?: number;
  readonly format?: number;
  readonly blobMem?: number;
  readonly blobFlags?: number;
  readonly size?: number;
  readonly pixels?: HostPixels | null;
  readonly host?: HostBlob | null;
  readonly renderer?: RendererResource | null;
  readonly hostBytes: number;
}

/** Made by `ResourceTable`, which has taken its share of the budgets; owns what it is made of. */
export class Resource implements Disposable {
  readonly id: number;
  readonly kind: '2d' | 'blob' | '3d';
  /** Pixels; 0 for a blob. */
  readonly width: number;
  readonly height: number;
  /** VIRTIO_GPU_FORMAT_* of a 2D resource, else 0. */
  readonly format: number;
  /** VIRTIO_GPU_BLOB_MEM_* and VIRTIO_GPU_BLOB_FLAG_USE_* of a blob, else 0. */
  readonly blobMem: number;
  readonly blobFlags: number;
  /** Bytes of a blob; 0 for what is none. */
  readonly size: number;
  /** Host memory of a 2D resource: `height` rows of `width` * 4 bytes. */
  readonly pixels: HostPixels | null;
  /** Host memory of a HOST3D blob. */
  readonly host: HostBlob | null;
  readonly renderer: RendererResource | null;
  /** Taken from the budget of host memory. */
  readonly hostBytes: number;
  /** What RESOURCE_ASSIGN_UUID gave, 16 bytes. */
  uuid: Uint8Array | null = null;
  readonly #sys: Pick<Sys, 'fd'>;
  readonly #budgets: ResourceBudgets;
  #backing: Backing | null = null;
  #disposed = false;

  constructor(sys: Pick<Sys, 'fd'>, budgets: ResourceBudgets, parts: ResourceParts) {
    this.#sys = sys;
    this.#budgets = budgets;
    this.id = parts.id;
    this.kind = parts.kind;
    this.width = parts.width ?? 0;
    this.height = parts.height ?? 0;
    this.format = parts.format ?? 0;
    this.blobMem = parts.blobMem ?? 0;
    this.blobFlags = parts.blobFlags ?? 0;
    this.size = parts.size ?? 0;
    this.pixels = parts.pixels ?? null;
    this.host = parts.host ?? null;
    this.renderer = parts.renderer ?? null;
    this.hostBytes = parts.hostBytes;
  }

  /** The guest pages, or null. */
  get backing(): Backing | null {
    return this.#backing;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /**
   * RESOURCE_ATTACH_BACKING.
   * @returns UNSPEC when there is one already; INVALID_PARAMETER when it is shorter than the blob; OUT_OF_MEMORY when all
   * resources together have too many ranges
   */
  attach(backing: Backing): GpuStatus {
    if (this.#backing !== null || this.#disposed) return VIRTIO_GPU_RESP_ERR_UNSPEC;
    if (backing.size < this.size) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (!this.#budgets.ranges.take(backing.ranges)) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    this.#backing = backing;
    this.renderer?.pagesChanged?.(backing);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** RESOURCE_DETACH_BACKING. @returns UNSPEC when there is none */
  detach(): GpuStatus {
    if (this.#backing === null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
    this.#budgets.ranges.give(this.#backing.ranges);
    this.#backing = null;
    this.renderer?.pagesChanged?.(null);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /**
   * Copies bytes [offset, offset + len) of the host memory, or of a guest blob's pages. The file of a HOST3D blob is read
   * by system calls, since it may be foreign.
   * @returns 0; -EINVAL outside of the resource and for a 3D one; -EFAULT when the memory is gone; what pread(2) answers
   * @throws RangeError when `to` has no room
   */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    if (this.#disposed) return -EFAULT;
    const size = this.pixels === null ? this.size : this.pixels.u8.length;
    if (!rangeFits(offset, len, size)) return -EINVAL;
    if (!rangeFits(toOffset, len, to.length)) {
      throw new RangeError(`${len} bytes at ${toOffset} of a buffer of ${to.length}`);
    }
    if (this.pixels !== null) {
      to.set(this.pixels.u8.subarray(offset, offset + len), toOffset);
      return 0;
    }
    if (this.host !== null) return this.#readFile(this.host, offset, to, toOffset, len);
    return this.#backing === null ? -EFAULT : this.#backing.read(offset, to, toOffset, len);
  }

  /** Frees what it holds and gives its share of the budgets back, once. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.detach();
    this.#disposed = true;
    try {
      this.pixels?.[Symbol.dispose]();
      this.host?.[Symbol.dispose]();
      this.renderer?.[Symbol.dispose]();
    } finally {
      this.#budgets.hostmem.give(this.hostBytes);
      this.#budgets.resources.give(1);
    }
  }

  #readFile(host: HostBlob, offset: number, to: Uint8Array, toOffset: number, len: number): number {
    for (let done = 0; done < len; ) {
      const target = to.subarray(toOffset + done, toOffset + len);
      const n = this.#sys.fd.pread(host.fd, target, len - done, host.fdOffset + offset + done);
      if (n > 0) done += n;
      else if (n === 0) return -EFAULT;
      else if (n !== -EINTR) return n;
    }
    return 0;
  }
}
