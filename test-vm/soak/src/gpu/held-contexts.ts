/** A context type whose submits and fences end when the soak says so, in any order between rings. */
import {
  type Context,
  type ContextType,
  type GpuStatus,
  MemoryCapset,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';
import type { Xorshift } from '../random.ts';

export const HELD_CAPSET_ID = 12;
/** Values of a submit's first byte, modulo `OPERATIONS`. */
const OPERATIONS = 8;
const FAILS = 5;
const PARKS = 6;

/** What a submit is answered with in the end. */
export function submitStatus(commands: Uint8Array): GpuStatus {
  return operation(commands) === FAILS ? VIRTIO_GPU_RESP_ERR_UNSPEC : VIRTIO_GPU_RESP_OK_NODATA;
}

function operation(commands: Uint8Array): number {
  return (commands[0] ?? 0) % OPERATIONS;
}

class HeldContext implements Context {
  readonly rings = new Map<number, (() => void)[]>();
  readonly #owner: HeldContexts;

  constructor(owner: HeldContexts) {
    this.#owner = owner;
  }

  submit(commands: Uint8Array, done: (status: GpuStatus) => void): void {
    const status = submitStatus(commands);
    if (operation(commands) === PARKS) this.#hold(-2, () => done(status));
    else done(status);
  }

  fence(ring: number, done: () => void): void {
    this.#hold(ring, done);
  }

  createBlob(): GpuStatus {
    return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }

  [Symbol.dispose](): void {
    this.rings.clear();
    this.#owner.live.delete(this);
  }

  #hold(ring: number, done: () => void): void {
    const held = this.rings.get(ring);
    if (held === undefined) this.rings.set(ring, [done]);
    else held.push(done);
  }
}

export class HeldContexts implements ContextType {
  readonly capsetId = HELD_CAPSET_ID;
  readonly name = 'held';
  readonly maxVersion = 2;
  /** As long as that of `memory`, so that both fit into the same room. */
  readonly capset = new Uint8Array(MemoryCapset.byteLength);
  readonly live = new Set<HeldContext>();

  create(): Context {
    const context = new HeldContext(this);
    this.live.add(context);
    return context;
  }

  /** Ends what is held by some rings; of each ring in order. */
  releaseSome(random: Xorshift): void {
    for (const { rings } of [...this.live]) {
      for (const [ring, held] of [...rings]) {
        if (random.once(2)) continue;
        rings.delete(ring);
        for (const done of held) done();
      }
    }
  }

  /** Ends all that is held. @returns whether anything was */
  releaseAll(): boolean {
    let any = false;
    for (const { rings } of [...this.live]) {
      const held = [...rings.values()].flat();
      rings.clear();
      for (const done of held) done();
      any ||= held.length > 0;
    }
    return any;
  }
}
