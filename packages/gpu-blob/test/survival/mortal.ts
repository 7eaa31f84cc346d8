/** A process that ends at any step: a system call, an atomic store, a word to whoever keeps its descriptors. */
import { check, Fd, type Sys } from '@oriel/sys';
import type { DeviceHost, StateMemory } from '@oriel/virtio-device';
import { sys } from '../device/rig.ts';

/** The end of a process. */
class Death extends Error {}

/** True for the end of a process, also where its objects were disposed on the way out. */
export function isDeath(error: unknown): boolean {
  return error instanceof Death || (error instanceof SuppressedError && isDeath(error.error));
}

/** Dies at the n-th step, and at each one behind it: what is torn down on the way changes nothing any more. */
export class Steps {
  taken = 0;
  #left = Number.POSITIVE_INFINITY;
  /** Somebody else's turn: a driver lives in another process. */
  #others = false;

  get dead(): boolean {
    return this.#left <= 0;
  }

  step(): void {
    this.taken++;
    if (--this.#left <= 0) throw new Death('killed');
  }

  /** What a dead process has left is cleared away: nothing of that is a step. */
  afterDeath(act: () => void): void {
    const left = this.#left;
    this.#left = Number.POSITIVE_INFINITY;
    this.outside(act);
    this.#left = left;
  }

  /** What another process does meanwhile. */
  outside<T>(act: () => T): T {
    this.#others = true;
    try {
      return act();
    } finally {
      this.#others = false;
    }
  }

  /** Dies at the `step`-th step from here on, while `act` runs. Rejects with what came of it. */
  async during(step: number, act: () => Promise<void>): Promise<void> {
    const { store } = Atomics;
    this.#left = step;
    Object.assign(Atomics, {
      store: (...args: Parameters<typeof Atomics.store>) => {
        if (this.dead && !this.#others) throw new Death('killed');
        const result: unknown = Reflect.apply(store, Atomics, args);
        if (!this.#others) this.step();
        return result;
      },
    });
    try {
      await act();
    } finally {
      Object.assign(Atomics, { store });
      this.#left = Number.POSITIVE_INFINITY;
    }
  }
}

/** System calls of a process, each with a step before and one behind it. The kernel undoes at its end what is in `opened`. */
export class MortalSys implements Disposable {
  readonly sys: Sys;
  readonly #steps: Steps;
  readonly #opened = new Set<number>();
  readonly #mapped = new Map<number, number>();

  constructor(steps: Steps) {
    this.#steps = steps;
    this.sys = { ...sys, mem: this.#mortal(sys.mem), fd: this.#mortal(sys.fd), file: this.#mortal(sys.file) };
  }

  [Symbol.dispose](): void {
    for (const fd of this.#opened) sys.fd.close(fd);
    for (const [addr, len] of this.#mapped) sys.mem.munmap(addr, len);
    this.#opened.clear();
    this.#mapped.clear();
  }

  #mortal<T extends object>(calls: T): T {
    return new Proxy(calls, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          this.#steps.step();
          const result: unknown = Reflect.apply(value, target, args);
          this.#note(key, args, result);
          this.#steps.step();
          return result;
        };
      },
    });
  }

  #note(key: string | symbol, args: unknown[], result: unknown): void {
    if ((key === 'memfdCreate' || key === 'dup') && (result as number) >= 0) this.#opened.add(result as number);
    if (key === 'close') this.#opened.delete(args[0] as number);
    if (key === 'mmap' && (result as number) > 0) this.#mapped.set(result as number, args[1] as number);
    if (key === 'munmap') this.#mapped.delete(args[0] as number);
  }
}

/** What outlives the processes of a session. */
export class Afterlife implements Disposable {
  bytes: Uint8Array;
  readonly kept = new Map<string, Fd>();

  constructor(size: number) {
    this.bytes = new Uint8Array(size);
  }

  /** The state memory of one process, out of reach of those behind it. @param own - its system calls */
  lend(steps: Steps, own: Sys): StateMemory {
    const { kept } = this;
    const forget = (name: string): void => {
      kept.get(name)?.close();
      kept.delete(name);
    };
    const around = <A extends unknown[], T>(act: (...args: A) => T) => {
      return (...args: A): T => {
        steps.step();
        const result = act(...args);
        steps.step();
        return result;
      };
    };
    this.bytes = this.bytes.slice();
    return {
      bytes: this.bytes,
      keep: around((name: string, fd: Fd) => {
        forget(name);
        kept.set(name, new Fd(sys.fd, check(sys.fd.dup(fd.fd), 'dup')));
        return true;
      }),
      forget: around(forget),
      take: (name) => {
        const held = kept.get(name);
        return held === undefined ? null : new Fd(own.fd, check(own.fd.dup(held.fd), 'dup'));
      },
    };
  }

  [Symbol.dispose](): void {
    for (const fd of this.kept.values()) fd.close();
    this.kept.clear();
  }
}

/** A host with another state memory. */
export function withState(host: DeviceHost, state: StateMemory): DeviceHost {
  return new Proxy(host, {
    get(target, key) {
      if (key === 'state') return state;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
