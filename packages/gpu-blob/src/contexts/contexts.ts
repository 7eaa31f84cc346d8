/** The contexts of a guest, and which resources are attached to which. */
import type { DeviceHost } from '@oriel/virtio-device';
import {
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { Resource } from '../resources/resource.ts';
import { AttachedResource } from './attached.ts';
import type { Capsets } from './capsets.ts';
import type { Context, ContextHost, ContextResource } from './context-type.ts';

interface Entry {
  readonly context: Context;
  readonly attached: Map<number, ContextResource>;
}

/** Contexts by the guest's numbers. */
export class Contexts {
  readonly #capsets: Capsets;
  readonly #most: number;
  readonly #entries = new Map<number, Entry>();

  constructor(capsets: Capsets, most: number) {
    this.#capsets = capsets;
    this.#most = most;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(ctxId: number): Context | null {
    return this.#entries.get(ctxId)?.context ?? null;
  }

  /** CTX_CREATE. @param capsetId - 0: the first type */
  create(host: DeviceHost, ctxId: number, capsetId: number, debugName: string): GpuStatus {
    if (ctxId === 0 || this.#entries.has(ctxId)) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    const type = this.#capsets.byId(capsetId);
    if (type === null) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (this.#entries.size >= this.#most) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    const attached = new Map<number, ContextResource>();
    const { sys, loop, log } = host;
    const surroundings: ContextHost = {
      sys,
      loop,
      log,
      ctxId,
      get offload() {
        return host.offload;
      },
      resource: (resourceId) => attached.get(resourceId) ?? null,
    };
    const context = type.create(surroundings, debugName);
    if (typeof context === 'number') return context;
    this.#entries.set(ctxId, { context, attached });
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** CTX_DESTROY: resources are detached, not freed. */
  destroy(ctxId: number): GpuStatus {
    const entry = this.#entries.get(ctxId);
    if (entry === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    this.#entries.delete(ctxId);
    entry.context[Symbol.dispose]();
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** CTX_ATTACH_RESOURCE; doing it twice changes nothing. */
  attach(ctxId: number, resource: Resource): GpuStatus {
    const entry = this.#entries.get(ctxId);
    if (entry === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (!entry.attached.has(resource.id)) {
      const attached = new AttachedResource(resource);
      entry.attached.set(resource.id, attached);
      entry.context.attach?.(attached);
    }
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** CTX_DETACH_RESOURCE; a resource that is not attached changes nothing. */
  detach(ctxId: number, resourceId: number): GpuStatus {
    const entry = this.#entries.get(ctxId);
    if (entry === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    this.#detach(entry, resourceId);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** A resource goes: no context sees it any more. */
  forget(resourceId: number): void {
    for (const entry of this.#entries.values()) this.#detach(entry, resourceId);
  }

  /** Ends all contexts. */
  clear(): void {
    for (const ctxId of [...this.#entries.keys()]) this.destroy(ctxId);
  }

  #detach(entry: Entry, resourceId: number): void {
    const attached = entry.attached.get(resourceId);
    if (attached === undefined) return;
    entry.attached.delete(resourceId);
    entry.context.detach?.(attached);
  }
}
