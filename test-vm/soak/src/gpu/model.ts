/** What a virtio-gpu device must hold after the commands that it was sent: the soak's own book, kept from bytes and rules. */
import { BUDGET } from './gpu-server.ts';

const PAGE = 4096;

/** A host object of the context type `memory`. */
export interface ModelObject {
  readonly name: string;
  /** Bytes; between these while an old one of the name may still be there. */
  least: number;
  most: number;
  blobs: number;
}

export interface ModelResource {
  readonly kind: '2d' | 'blob';
  readonly width: number;
  readonly height: number;
  /** Of a blob, bytes. */
  readonly size: number;
  readonly mappable: boolean;
  /** Taken from the budget. */
  readonly hostBytes: number;
  readonly object: ModelObject | null;
  /** Bytes of guest pages; -1: none. */
  backing: number;
  /** In the window; -1: it is not mapped. */
  offset: number;
  /** The last map failed, so that an unmap is tolerated; null: not known. */
  failed: boolean | null;
  /** Its guest pages lie in the window, at least in part: they come and go with mappings. */
  foreign: boolean;
}

/** Part of the window. */
export interface Range {
  readonly offset: number;
  readonly len: number;
}

export function mappedLen(resource: ModelResource): number {
  return Math.ceil(resource.size / PAGE) * PAGE;
}

/** The book. */
export class GpuModel {
  readonly resources = new Map<number, ModelResource>();
  /** By number: which type. */
  readonly contexts = new Map<number, 'memory' | 'held'>();
  /** Named ones by name. */
  readonly named = new Map<string, ModelObject>();
  hostmem = 0;
  /** Since the batch began: what is going and may still count. */
  leavingBytes = 0;
  leavingResources = 0;
  readonly leavingNames = new Set<string>();
  /** Parts of the window of which this book does not know who has them at which moment. */
  readonly unsure: Range[] = [];

  /** Nothing is under way any more. */
  beginBatch(): void {
    this.leavingBytes = 0;
    this.leavingResources = 0;
    this.leavingNames.clear();
    this.unsure.length = 0;
  }

  /** A reset, or another guest. */
  clear(): void {
    this.resources.clear();
    this.contexts.clear();
    this.named.clear();
    this.hostmem = 0;
    this.beginBatch();
  }

  /** Host objects that live. */
  get objects(): number {
    const objects = new Set<ModelObject>();
    for (const { object } of this.resources.values()) if (object !== null) objects.add(object);
    return objects.size;
  }

  /** What is left of the budget of host memory, bytes: surely, and when all that is going has gone. */
  room(): { readonly sure: number; readonly atBest: number } {
    const atBest = BUDGET.maxHostmem - this.hostmem;
    return { sure: atBest - this.leavingBytes, atBest };
  }

  add(id: number, resource: ModelResource): void {
    this.resources.set(id, resource);
    this.hostmem += resource.hostBytes;
    if (resource.object !== null) resource.object.blobs++;
  }

  /** RESOURCE_UNREF. What it held counts until its mapping is gone. */
  remove(id: number, mayLinger: boolean): void {
    const resource = this.resources.get(id)!;
    this.resources.delete(id);
    this.hostmem -= resource.hostBytes;
    const { object } = resource;
    if (object !== null) {
      object.blobs--;
      if (object.blobs === 0) this.named.delete(object.name);
    }
    if (!mayLinger) return;
    this.leavingBytes += resource.hostBytes;
    this.leavingResources++;
    if (object !== null) this.leavingNames.add(object.name);
  }

  /** The mapped resources but some. */
  *mapped(but: ReadonlySet<number>): Iterable<ModelResource> {
    for (const [id, resource] of this.resources) if (resource.offset >= 0 && !but.has(id)) yield resource;
  }

  overlapsUnsure(offset: number, len: number): boolean {
    return this.unsure.some((range) => range.offset < offset + len && offset < range.offset + range.len);
  }
}
