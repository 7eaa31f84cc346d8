/** A resource as the contexts see it to which it is attached. */
import { EAGAIN, EINVAL } from '@oriel/sys';
import type { Resource } from '../resources/resource.ts';
import type { ContextResource } from './context-type.ts';

/** Says whether guest memory may be touched. */
export interface MemoryGate {
  readonly running: boolean;
}

/** Shows a resource; what changes (its backing, its end) is looked up at each use. */
export class AttachedResource implements ContextResource {
  readonly id: number;
  readonly #resource: Resource;
  readonly #gate: MemoryGate;

  constructor(resource: Resource, gate: MemoryGate) {
    this.id = resource.id;
    this.#resource = resource;
    this.#gate = gate;
  }

  get size(): number {
    return this.#resource.size;
  }

  get fd(): number {
    // The number may be another file's by then.
    return this.#resource.disposed ? -1 : (this.#resource.host?.fd ?? -1);
  }

  get fdOffset(): number {
    return this.#resource.host?.fdOffset ?? 0;
  }

  get backingSize(): number {
    return this.#resource.backing?.size ?? 0;
  }

  readBacking(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    if (!this.#gate.running) return -EAGAIN;
    return this.#resource.backing?.read(offset, to, toOffset, len) ?? -EINVAL;
  }

  writeBacking(offset: number, from: Uint8Array, fromOffset: number, len: number): number {
    if (!this.#gate.running) return -EAGAIN;
    return this.#resource.backing?.write(offset, from, fromOffset, len) ?? -EINVAL;
  }
}
