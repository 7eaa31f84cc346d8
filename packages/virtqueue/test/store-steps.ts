/**
 * A SIGKILL at a chosen store: what a device does inside `run` goes through views that count its stores to watched
 * memory, and throw right behind the one that was chosen. What it had in private memory is then lost, as in a kill.
 */

type View = Uint8Array | Uint16Array | Uint32Array | Float64Array;

/** Thrown behind the chosen store. */
class Killed extends Error {}

const VIEWS = ['Uint8Array', 'Uint16Array', 'Uint32Array', 'Float64Array', 'DataView'] as const;

/** Counts stores to some buffers. */
export class StoreSteps {
  /** Stores in the last `run`. */
  stores = 0;
  readonly #watched: ReadonlySet<ArrayBufferLike>;
  readonly #real = new WeakMap<object, View>();
  #last = Number.POSITIVE_INFINITY;
  #pausedIn = 0;

  constructor(watched: readonly ArrayBufferLike[]) {
    this.#watched = new Set(watched);
  }

  /** Runs `act`, and kills it behind store number `last` (from 1). @returns false when it was killed */
  run(last: number, act: () => void): boolean {
    this.stores = 0;
    this.#last = last;
    const globals = globalThis as unknown as Record<string, unknown>;
    const saved = new Map<string, unknown>([...VIEWS, 'Atomics'].map((name) => [name, globals[name]]));
    for (const name of VIEWS) globals[name] = this.#watching(saved.get(name) as typeof Uint8Array);
    const atomics = saved.get('Atomics') as typeof Atomics;
    const own = (view: View): Uint32Array => (this.#real.get(view) ?? view) as Uint32Array;
    globals.Atomics = {
      load: (view: View, at: number) => atomics.load(own(view), at),
      store: (view: View, at: number, value: number) => {
        atomics.store(own(view), at, value);
        if (this.#real.has(view)) this.#stored();
        return value;
      },
    };
    try {
      act();
      return true;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      return false;
    } finally {
      for (const [name, value] of saved) globals[name] = value;
    }
  }

  /** The driver's share: it lives on. */
  outside<T>(act: () => T): T {
    this.#pausedIn++;
    try {
      return act();
    } finally {
      this.#pausedIn--;
    }
  }

  #stored(): void {
    if (this.#pausedIn !== 0) return;
    this.stores++;
    if (this.stores === this.#last) throw new Killed(`behind store ${this.#last}`);
  }

  /** A constructor whose views over watched buffers count. */
  #watching(real: typeof Uint8Array): typeof Uint8Array {
    return new Proxy(real, {
      construct: (target, args, made) => {
        const view = Reflect.construct(target, args, made === target ? target : made) as View;
        return this.#watched.has(view.buffer) ? this.#counted(view) : view;
      },
    });
  }

  #counted(view: View): View {
    const counted = new Proxy(view, {
      get: (target, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const result: unknown = Reflect.apply(value, target, args);
          if (key === 'fill' || key === 'set' || (typeof key === 'string' && key.startsWith('set'))) this.#stored();
          return result;
        };
      },
      set: (target, key, value) => {
        Reflect.set(target, key, value, target);
        this.#stored();
        return true;
      },
    });
    this.#real.set(counted, view);
    return counted;
  }
}
