/** A model beside the real thing: every step is made in both, and both are compared. */
import { EFAULT, EIO, type Sys } from '@oriel/sys';
import { OwnerFiles, stamp } from './files.ts';
import { Machine, type MachineOptions } from './machine.ts';
import { type ModelEntry, type ModelRequest, ModelViolation, RegionModel } from './region-model.ts';

/** A caller who waits for an answer. */
interface Caller {
  readonly kind: 'map' | 'unmap';
  readonly owner: number;
}

export class Trial implements Disposable {
  readonly model: RegionModel;
  readonly machine: Machine;
  readonly files: OwnerFiles;
  readonly #sys: Sys;
  readonly #options: MachineOptions;
  readonly #callers = new Set<Caller>();
  readonly #dying = new Set<number>();
  /** What callbacks found wrong: they run inside the code under test, which must not see it. */
  #violation: ModelViolation | null = null;
  #nextOwner = 1;

  constructor(options: MachineOptions) {
    const { sys, profile, size } = options;
    this.#sys = sys;
    this.#options = options;
    this.model = new RegionModel({
      size,
      pageSize: sys.mem.pageSize,
      maxMappings: profile.limits.maxMappings,
      overlap: profile.limits.overlap,
      resetClears: profile.resetClears,
    });
    this.machine = new Machine(options);
    this.files = new OwnerFiles(sys, sys.mem.pageSize);
  }

  /** The owners that can still ask for something. */
  get owners(): readonly number[] {
    return this.files.alive.filter((id) => !this.#dying.has(id));
  }

  create(): void {
    this.files.create(this.#nextOwner);
    this.#nextOwner += 1;
  }

  /** @param request - its owner is alive, or -1: a descriptor that is none */
  map(request: ModelRequest): void {
    const expected = this.model.map(request);
    const owned = this.files.get(request.owner);
    let inside = true;
    let told: number | null = null;
    const caller: Caller = { kind: 'map', owner: request.owner };
    this.#callers.add(caller);
    const { shmOffset, len, fdOffset, writable } = request;
    const place = { fd: owned?.fd.fd ?? -1, fdOffset, shmOffset, len, writable };
    this.machine.region.map({ ...place, owner: owned?.owner ?? {}, label: `${request.owner}` }, (error) => {
      this.#told(caller);
      if (inside) {
        told = error;
      } else if (typeof expected === 'number') {
        this.#violate(`map must be refused with ${expected} inside the call, not ${error} later`);
      } else {
        this.#guard(() => this.model.mapped(expected, error));
      }
    });
    inside = false;
    if (typeof expected === 'number' ? told !== expected : told !== null) {
      this.#violate(
        `map answered ${told} inside the call, wanted ${typeof expected === 'number' ? expected : 'later'}`,
      );
    }
  }

  unmap(shmOffset: number, len: number): void {
    const end = shmOffset + len;
    this.#unmap(
      (entry) => entry.shmOffset >= shmOffset && entry.shmOffset + entry.len <= end,
      (done) => this.machine.region.unmap(shmOffset, len, done),
    );
  }

  unmapAll(): void {
    this.#unmap(
      () => true,
      (done) => this.machine.region.unmapAll(done),
    );
  }

  /** Its mappings die with it; its descriptor when nobody has it on loan. */
  ownerDies(id: number): void {
    const owned = this.files.get(id)!;
    this.#dying.add(id);
    this.#unmap(
      (entry) => entry.owner === id,
      (done) => this.machine.region.unmapOwner(owned.owner, done),
    );
    this.#bury();
  }

  pause(): void {
    this.model.pause();
    this.machine.pause();
  }

  resume(): void {
    this.model.state = 'running';
    this.machine.resume();
  }

  reset(): void {
    this.model.pause();
    if (this.model.shape.resetClears) {
      this.model.dropAll();
    }
    this.machine.reset();
    this.model.state = 'running';
  }

  disconnect(): void {
    this.model.disconnect();
    this.machine.disconnect();
  }

  reconnect(): void {
    this.machine.connect();
    this.model.state = 'running';
  }

  crash(side: 'back-end' | 'front-end'): void {
    this.model.disconnect();
    if (side === 'back-end') {
      this.machine.crashBackEnd();
      // Its callers died with it.
      this.#callers.clear();
      this.#bury();
    } else {
      this.machine.crashFrontEnd();
    }
  }

  /** A back-end that does not ask its ledger: the front-end refuses, and nothing changes. */
  rogue(kind: 'map' | 'unmap', wire: { shmOffset: number; len: number; fdOffset: number; writable: boolean }): void {
    let answer: number | null = null;
    const done = (error: number): void => {
      answer = error;
    };
    const owner = this.files.get(this.owners[0] ?? -1);
    if (kind === 'map' && owner !== undefined) {
      this.machine.rogueMap(wire, owner.fd.fd, done);
    } else {
      this.machine.rogueUnmap(wire, done);
    }
    this.machine.settle();
    if (answer !== -EIO) {
      this.#violate(`the front-end answered a rogue ${kind} with ${answer}`);
    }
  }

  /** Lets everything come to rest, and compares. @throws ModelViolation */
  settle(): void {
    this.machine.settle(() => this.model.state === 'running' && this.#callers.size > 0);
    this.#check();
    this.model.settled(new Set(this.machine.region.entries().map(({ shmOffset }) => shmOffset)));
    for (const { kind } of this.#callers) {
      if (kind === 'map' || this.model.state === 'running') {
        throw new ModelViolation(`the caller of ${kind} was never told`);
      }
    }
    this.#compare();
  }

  /** Checks what callbacks have found. @throws ModelViolation */
  #check(): void {
    if (this.#violation !== null) {
      throw this.#violation;
    }
  }

  [Symbol.dispose](): void {
    this.machine[Symbol.dispose]();
    this.files[Symbol.dispose]();
  }

  #unmap(wanted: (entry: ModelEntry) => boolean, ask: (done: (error: number) => void) => void): void {
    const since = this.model.state === 'running' ? this.model.interruptions : -1;
    const going = this.model.unmap(wanted);
    const caller: Caller = { kind: 'unmap', owner: -1 };
    this.#callers.add(caller);
    ask((error) => {
      this.#told(caller);
      this.#guard(() => this.model.unmapped(going, error, since));
    });
  }

  #told(caller: Caller): void {
    if (!this.#callers.delete(caller) && this.model.state !== 'offline') {
      this.#violate(`the caller of ${caller.kind} was told twice`);
    }
    this.#bury();
  }

  #bury(): void {
    for (const id of this.#dying) {
      if (![...this.#callers].some(({ owner }) => owner === id)) {
        this.#dying.delete(id);
        this.files.remove(id);
      }
    }
  }

  #compare(): void {
    const { region, window } = this.machine;
    const wanted = this.model.picture();
    const ledger = region
      .entries()
      .map(({ shmOffset, len, fdOffset, writable, label, state }) => {
        return `${shmOffset}+${len}<${label}:${fdOffset}${writable ? 'w' : 'r'} ${state}`;
      })
      .join(', ');
    if (ledger !== wanted) {
      throw new ModelViolation(`ledger: ${ledger}; model: ${wanted}`);
    }
    const held = window
      .entries()
      .map(({ shmOffset, len, fdOffset, writable, file }) => {
        const owner = /owner-(\d+)/.exec(file)?.[1];
        return `${shmOffset}+${len}<${owner}:${fdOffset}${writable ? 'w' : 'r'}`;
      })
      .join(', ');
    if (held !== wanted.replaceAll(/ (live|unmapping)/g, '')) {
      throw new ModelViolation(`window: ${held}; model: ${wanted}`);
    }
    if (region.stats.mapped !== this.model.entries.length) {
      throw new ModelViolation(`stats.mapped ${region.stats.mapped}; model: ${this.model.entries.length}`);
    }
    this.#compareBytes();
  }

  /** The first word of the first and the last page of every mapping, and of every gap. */
  #compareBytes(): void {
    const { window } = this.machine;
    const { pageSize } = this.#sys.mem;
    const word = new Uint32Array(1);
    const bytes = new Uint8Array(word.buffer);
    for (const { shmOffset, len, fdOffset, owner } of this.model.entries) {
      for (const at of len === pageSize ? [0] : [0, len - pageSize]) {
        const wanted = stamp(owner, (fdOffset + at) / pageSize);
        if (window.read(shmOffset + at, bytes) !== 4 || word[0] !== wanted) {
          throw new ModelViolation(`window at ${shmOffset + at}: ${word[0]}, wanted ${wanted}`);
        }
      }
    }
    const readable = this.#options.unmapped !== 'fault' && this.#options.unmapped !== 'inject';
    for (const { shmOffset } of window.gaps()) {
      const result = window.read(shmOffset, bytes);
      if (readable ? result !== 4 || word[0] !== 0 : result !== -EFAULT) {
        throw new ModelViolation(`gap at ${shmOffset}: ${result}, ${word[0]}`);
      }
    }
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      if (!(error instanceof ModelViolation)) {
        throw error;
      }
      this.#violation ??= error;
    }
  }

  #violate(message: string): void {
    this.#violation ??= new ModelViolation(message);
  }
}
