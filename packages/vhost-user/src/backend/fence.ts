/**
 * The visibility fence: QEMU answers SHMEM_MAP before the guest sees the mapping, and SHMEM_UNMAP before it is gone. What
 * follows the change is a memory-table update, so that is waited for; where none comes, a later answer on the back channel
 * proves the same, since the front-end works one request after the other.
 */
import type { FileIdentity, MemoryRegion } from '@oriel/guest-memory';
import type { WireMapping } from '@oriel/shm-region';
import type { EventLoop, LoopTimer } from '@oriel/sys';

/** One mapping or unmapping on its way. */
export interface Fence {
  /** The front-end answered with 0: `done` comes as soon as the change is in effect. */
  readonly answered: () => void;
  /** The front-end refused, or the request was never sent: nothing to wait for. */
  readonly abandon: () => void;
}

interface State {
  readonly kind: 'map' | 'unmap';
  readonly mapping: WireMapping;
  /** map: the file to recognise, null when it could not be looked at. */
  readonly file: FileIdentity | null;
  /** map: the region that holds the mapping, once seen. unmap: the region that must go, if known. */
  region: MemoryRegion | null;
  answered: boolean;
  timer: LoopTimer | null;
  readonly done: () => void;
}

/** What the fences need of the connection. */
export interface FencesOptions {
  readonly loop: EventLoop;
  /** How long to wait for the memory-table update, ms. */
  readonly timeoutMs: number;
  readonly regions: () => readonly MemoryRegion[];
  /** No update came: asks for a round trip, whose answer ends in `releaseAnswered`. */
  readonly barrier: () => void;
  /** Whether answers are in effect at once: a front-end that stops rings has finished what it answered before. */
  readonly stopping: () => boolean;
}

/** All fences of a connection, and which region of the memory table holds which mapping. */
export class Fences {
  readonly #options: FencesOptions;
  readonly #waiting: State[] = [];
  readonly #holders = new Map<string, MemoryRegion>();
  #known: ReadonlySet<MemoryRegion> = new Set();

  constructor(options: FencesOptions) {
    this.#options = options;
  }

  /** A map request is about to be sent. @param done - called once, after `answered` */
  beginMap(mapping: WireMapping, file: FileIdentity | null, done: () => void): Fence {
    return this.#begin({ kind: 'map', mapping, file, region: null, answered: false, timer: null, done });
  }

  /** An unmap request is about to be sent. */
  beginUnmap(mapping: WireMapping, done: () => void): Fence {
    const region = this.#holders.get(key(mapping)) ?? null;
    return this.#begin({ kind: 'unmap', mapping, file: null, region, answered: false, timer: null, done });
  }

  /** The memory table changed and the front-end has its ack. */
  tableChanged(): void {
    const regions = this.#options.regions();
    for (const region of regions) {
      if (!this.#known.has(region)) {
        this.#seen(region);
      }
    }
    this.#known = new Set(regions);
    for (const [mapping, region] of this.#holders) {
      if (!this.#known.has(region)) {
        this.#holders.delete(mapping);
      }
    }
    for (const state of [...this.#waiting]) {
      this.#check(state);
    }
  }

  /** Everything answered so far is in effect: a later answer came, or the rings stop. */
  releaseAnswered(): void {
    for (const state of this.#waiting.filter((state) => state.answered)) {
      this.#release(state);
    }
  }

  /** The front-end dropped all mappings, or left. */
  forget(): void {
    this.#holders.clear();
  }

  #begin(state: State): Fence {
    this.#waiting.push(state);
    return {
      answered: () => {
        state.answered = true;
        this.#check(state);
        if (this.#waiting.includes(state)) {
          this.#wait(state);
        }
      },
      abandon: () => {
        this.#remove(state);
        if (state.kind === 'map') {
          this.#holders.delete(key(state.mapping));
        }
      },
    };
  }

  /** The oldest request that the region fits: requests are served in order. */
  #seen(region: MemoryRegion): void {
    const state = this.#waiting.find((state) => state.kind === 'map' && state.region === null && fits(state, region));
    if (state !== undefined) {
      state.region = region;
      this.#holders.set(key(state.mapping), region);
    }
  }

  #check(state: State): void {
    if (!state.answered || !this.#waiting.includes(state)) {
      return;
    }
    const inEffect =
      state.kind === 'map' ? state.region !== null : state.region !== null && !this.#known.has(state.region);
    if (inEffect || this.#options.stopping()) {
      this.#release(state);
    }
  }

  #wait(state: State): void {
    // A mapping that was never seen in the table will not be seen leaving it.
    const hopeless = state.kind === 'unmap' ? state.region === null : state.file === null;
    if (hopeless) {
      this.#options.barrier();
    } else {
      state.timer = this.#options.loop.timer(this.#options.timeoutMs, () => {
        state.timer = null;
        this.#options.barrier();
      });
    }
  }

  #release(state: State): void {
    this.#remove(state);
    if (state.kind === 'unmap') {
      this.#holders.delete(key(state.mapping));
    }
    state.done();
  }

  #remove(state: State): void {
    state.timer?.[Symbol.dispose]();
    state.timer = null;
    const index = this.#waiting.indexOf(state);
    if (index >= 0) {
      this.#waiting.splice(index, 1);
    }
  }
}

function fits(state: State, region: MemoryRegion): boolean {
  const { file, mapping } = state;
  return (
    file !== null &&
    region.dev === file.dev &&
    region.ino === file.ino &&
    region.mmapOffset === mapping.fdOffset &&
    region.size === mapping.len
  );
}

function key(mapping: WireMapping): string {
  return `${mapping.shmid}:${mapping.shmOffset}:${mapping.len}`;
}
