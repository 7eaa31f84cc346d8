/** The contexts of a guest, and which resources are attached to which. */
import type { DeviceHost } from '@oriel/virtio-device';
import { forAll } from '../for-all.ts';
import {
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { Resource } from '../resources/resource.ts';
import { AttachedResource, type MemoryGate } from './attached.ts';
import type { Capsets } from './capsets.ts';
import type { Context, ContextHost, ContextResource, ContextType } from './context-type.ts';
import { EndedContext } from './ended.ts';

/** Attachments of all contexts together: each costs about 100 bytes, and contexts times resources is too many. */
const MAX_ATTACHMENTS = 65536;

interface Entry {
  readonly type: ContextType;
  readonly context: Context;
  readonly attached: Map<number, ContextResource>;
}

/** What contexts have their types write down. */
export interface ContextMemo {
  remember(ctxId: number, place: number, value: number): void;
  recall(ctxId: number, place: number): number;
}

/** Contexts by the guest's numbers. */
export class Contexts implements MemoryGate {
  readonly #capsets: Capsets;
  readonly #most: number;
  readonly #mostAttachments: number;
  readonly #entries = new Map<number, Entry>();
  /** What outlives the process; null: nothing does. */
  memo: ContextMemo | null = null;
  #attachments = 0;
  #running = false;

  /** @param most - contexts at a time @param mostAttachments - for trials; default 65536 */
  constructor(capsets: Capsets, most: number, mostAttachments = MAX_ATTACHMENTS) {
    this.#capsets = capsets;
    this.#most = most;
    this.#mostAttachments = mostAttachments;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** True while the VM runs: contexts may touch guest pages. */
  get running(): boolean {
    return this.#running;
  }

  get(ctxId: number): Context | null {
    return this.#entries.get(ctxId)?.context ?? null;
  }

  /** The type of a context; null: there is none. */
  typeOf(ctxId: number): ContextType | null {
    return this.#entries.get(ctxId)?.type ?? null;
  }

  /** CTX_CREATE. @param capsetId - 0: the first type @param again - it was there in a process before; default false */
  create(host: DeviceHost, ctxId: number, capsetId: number, debugName: string, again = false): GpuStatus {
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
      remember: (place, value) => this.memo?.remember(ctxId, place, value),
      recall: (place) => this.memo?.recall(ctxId, place) ?? 0,
      resource: (resourceId) => attached.get(resourceId) ?? null,
    };
    const context = again
      ? (type.restore?.(surroundings, debugName) ?? new EndedContext())
      : type.create(surroundings, debugName);
    if (typeof context === 'number') return context;
    this.#entries.set(ctxId, { type, context, attached });
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** CTX_DESTROY: resources are detached, not freed. */
  destroy(ctxId: number): GpuStatus {
    const entry = this.#entries.get(ctxId);
    if (entry === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    this.#entries.delete(ctxId);
    this.#attachments -= entry.attached.size;
    try {
      entry.context[Symbol.dispose]();
    } finally {
      entry.attached.clear();
    }
    return VIRTIO_GPU_RESP_OK_NODATA;
  }

  /** CTX_ATTACH_RESOURCE; doing it twice changes nothing. */
  attach(ctxId: number, resource: Resource): GpuStatus {
    const entry = this.#entries.get(ctxId);
    if (entry === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
    if (!entry.attached.has(resource.id)) {
      if (this.#attachments >= this.#mostAttachments) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
      this.#attachments++;
      const attached = new AttachedResource(resource, this);
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

  /** The rings stop. */
  suspend(): void {
    if (!this.#running) return;
    for (const { context } of this.#entries.values()) context.suspend?.();
    this.#running = false;
  }

  /** The rings run. */
  resume(): void {
    if (this.#running) return;
    this.#running = true;
    for (const { context } of this.#entries.values()) context.resume?.();
  }

  /** Ends all contexts. */
  clear(): void {
    forAll([...this.#entries.keys()], (ctxId) => this.destroy(ctxId));
  }

  #detach(entry: Entry, resourceId: number): void {
    const attached = entry.attached.get(resourceId);
    if (attached === undefined) return;
    entry.attached.delete(resourceId);
    this.#attachments--;
    entry.context.detach?.(attached);
  }
}
