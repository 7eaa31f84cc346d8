/** A resource as the contexts see it to which it is attached. */
import { EINVAL } from '@oriel/sys';
import type { Resource } from '../resources/resource.ts';
import type { ContextResource } from './context-type.ts';

/** Shows a resource; what changes (its backing) is looked up at each use. */
export class AttachedResource implements ContextResource {
  readonly id: number;
  readonly #resource: Resource;

  constructor(resource: Resource) {
    this.id = resource.id;
    this.#resource = resource;
  }

  get size(): number {
    return this.#resource.size;
  }

  get fd(): number {
    return this.#resource.host?.fd ?? -1;
  }

  get fdOffset(): number {
    return this.#resource.host?.fdOffset ?? 0;
  }

  get backingSize(): number {
    return this.#resource.backing?.size ?? 0;
  }

  readBacking(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    return this.#resource.backing?.read(offset, to, toOffset, len) ?? -EINVAL;
  }

  writeBacking(offset: number, from: Uint8Array, fromOffset: number, len: number): number {
    return this.#resource.backing?.write(offset, from, fromOffset, len) ?? -EINVAL;
  }
}
