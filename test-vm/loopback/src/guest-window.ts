/**
 * The window at the front-end: carries out SHMEM_MAP and SHMEM_UNMAP in the order of QEMU 11.1 (answer, change, memory
 * update), with every way to misbehave that a test may want.
 */
import { Window, type WindowEntry, type WireMapping } from '@oriel/shm-region';
import { EFAULT, type EventLoop, type Fd, type Logger, type LoopTimer, type Sys } from '@oriel/sys';
import type { TableDone, TableRegion } from './memory-table.ts';

/** How the front-end treats requests; may be changed at any time. */
export interface WindowBehaviour {
  /**
   * When the back-end hears of a changed memory table: behind the answer as QEMU does it, before it, or never (as front-ends
   * that keep mappings out of the table).
   */
  update: 'after-reply' | 'before-reply' | 'never';
  /** How long a mapping stays out of the guest's sight behind the answer, ms; the next request ends the wait. */
  changeDelayMs: number;
  /** How long the memory update waits behind the change, ms: another device of the VM is slow to take it. */
  updateDelayMs: number;
  /** A negative errno refuses the request; 0 lets it be tried. */
  refuse: (kind: 'map' | 'unmap', request: WireMapping) => number;
}

/** Figures since the start. */
export interface WindowStats {
  maps: number;
  unmaps: number;
  refused: number;
  /** Bytes that the guest read and wrote through the window. */
  bytesRead: number;
  bytesWritten: number;
}

/** Where the first window lies in the guest: above all memory, as the BAR of a PCI device. */
export const WINDOW_GPA = 0x80_0000_0000;

/** Who is told of mappings. */
export interface WindowTable {
  has(region: TableRegion): boolean;
  add(region: TableRegion, done: TableDone): void;
  remove(region: TableRegion, done: TableDone): void;
}

/** How a window is made. */
export interface GuestWindowOptions {
  readonly shmid: number;
  /** Bytes. */
  readonly size: number;
  /** Where it lies in the guest. */
  readonly gpa: number;
  readonly log: Logger;
}

interface Update {
  readonly send: () => void;
  readonly timer: LoopTimer;
}

interface Change {
  readonly apply: () => void;
  timer: LoopTimer | null;
}

/** A DAX window in the front-end's process. Its bytes are reached only by system calls, which survive a truncated file. */
export class GuestWindow implements Disposable {
  readonly size: number;
  /** Where it lies in the guest. */
  readonly gpa: number;
  readonly behaviour: WindowBehaviour = {
    update: 'after-reply',
    changeDelayMs: 0,
    updateDelayMs: 0,
    refuse: () => 0,
  };
  readonly stats: WindowStats = { maps: 0, unmaps: 0, refused: 0, bytesRead: 0, bytesWritten: 0 };
  /** Memory updates that the back-end refused. */
  readonly updateErrors: Error[] = [];
  readonly #loop: EventLoop;
  readonly #window: Window;
  readonly #table: WindowTable;
  readonly #regions = new Map<number, TableRegion>();
  /** Unmapped, and the back-end was not told yet. */
  readonly #leaving = new Set<TableRegion>();
  /** Mappings that the guest cannot see yet: answered, not carried out. */
  readonly #hidden = new Set<number>();
  #change: Change | null = null;
  #ended = false;
  /** Memory updates that wait, in the order of the changes. */
  readonly #updates: Update[] = [];

  constructor(sys: Sys, loop: EventLoop, table: WindowTable, options: GuestWindowOptions) {
    const { shmid, size, gpa, log } = options;
    this.size = size;
    this.gpa = gpa;
    this.#loop = loop;
    this.#table = table;
    this.#window = new Window(sys, { shmid, size, log });
  }

  /** What is mapped, in order of offset. */
  entries(): readonly WindowEntry[] {
    return this.#window.entries();
  }

  /** SHMEM_MAP. @returns 0 or a negative errno */
  map(request: WireMapping, fd: Fd): number {
    this.settle();
    using owned = fd;
    const refusal = this.behaviour.refuse('map', request);
    if (refusal !== 0) return this.#refused(refusal);
    // QEMU maps for reading and writing whatever the request says, and so wants such a descriptor.
    const error = this.#window.map({ ...request, writable: true }, owned.dup());
    if (error !== 0) return this.#refused(error);
    this.stats.maps++;
    const { shmOffset, len, fdOffset } = request;
    this.#hidden.add(shmOffset);
    const region = {
      gpa: this.gpa + shmOffset,
      size: len,
      userAddr: this.#window.addr + shmOffset,
      mmapOffset: fdOffset,
      fd: owned.dup(),
    };
    this.#regions.set(shmOffset, region);
    this.#schedule(() => {
      this.#hidden.delete(shmOffset);
      if (this.behaviour.update !== 'never') this.#update(() => this.#announce(region));
    });
    return 0;
  }

  /** SHMEM_UNMAP. @returns 0 or a negative errno */
  unmap(request: WireMapping): number {
    this.settle();
    const refusal = this.behaviour.refuse('unmap', request);
    if (refusal !== 0) return this.#refused(refusal);
    const error = this.#window.unmap(request);
    if (error !== 0) return this.#refused(error);
    this.stats.unmaps++;
    const region = this.#regions.get(request.shmOffset)!;
    this.#regions.delete(request.shmOffset);
    this.#leaving.add(region);
    this.#schedule(() => this.#update(() => this.#withdraw(region)));
    return 0;
  }

  /** Carries out now what was answered: QEMU does one request at a time, and has done all of them before the rings stop. */
  settle(): void {
    const change = this.#change;
    if (change === null) return;
    this.#change = null;
    change.timer?.[Symbol.dispose]();
    change.apply();
  }

  /** Virtio reset: everything is unmapped. The back-end hears of it by `announceReset`, at the next start. */
  clear(): void {
    this.settle();
    this.#window.clear();
  }

  /** Removes from the memory table what `clear` unmapped. @param done - called once, when the back-end has answered */
  announceReset(done: () => void): void {
    const mapped = new Set(this.#window.entries().map((entry) => entry.shmOffset));
    let pending = 1;
    const one = (error: Error | null): void => {
      this.#updated(error);
      pending--;
      if (pending === 0) done();
    };
    for (const [shmOffset, region] of this.#regions) {
      if (mapped.has(shmOffset)) continue;
      this.#regions.delete(shmOffset);
      pending++;
      if (this.#table.has(region)) this.#table.remove(region, one);
      else {
        region.fd.close();
        one(null);
      }
    }
    one(null);
  }

  /** Reads window bytes as the guest would. @returns bytes read; -EFAULT where nothing is mapped, or not visible yet */
  read(shmOffset: number, to: Uint8Array): number {
    const result = this.#hides(shmOffset, to.length) ? -EFAULT : this.#window.read(shmOffset, to);
    this.stats.bytesRead += Math.max(result, 0);
    return result;
  }

  /** Writes window bytes as the guest would; as `read`. */
  write(shmOffset: number, from: Uint8Array): number {
    const result = this.#hides(shmOffset, from.length) ? -EFAULT : this.#window.write(shmOffset, from);
    this.stats.bytesWritten += Math.max(result, 0);
    return result;
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    this.#change?.timer?.[Symbol.dispose]();
    this.#change = null;
    for (const { timer } of this.#updates.splice(0)) timer[Symbol.dispose]();
    for (const region of [...this.#regions.values(), ...this.#leaving]) {
      if (!this.#table.has(region)) region.fd.close();
    }
    this.#regions.clear();
    this.#leaving.clear();
    this.#window[Symbol.dispose]();
  }

  #refused(error: number): number {
    this.stats.refused++;
    return error;
  }

  #hides(shmOffset: number, len: number): boolean {
    for (const entry of this.#hidden.size === 0 ? [] : this.#window.entries()) {
      const overlaps = entry.shmOffset < shmOffset + len && shmOffset < entry.shmOffset + entry.len;
      if (overlaps && this.#hidden.has(entry.shmOffset)) return true;
    }
    return false;
  }

  #announce(region: TableRegion): void {
    // It may be gone again: a reset, or an UNMAP that overtook the update.
    if (this.#regions.get(region.gpa - this.gpa) === region) this.#table.add(region, this.#updated);
  }

  #withdraw(region: TableRegion): void {
    this.#leaving.delete(region);
    if (this.#table.has(region)) this.#table.remove(region, this.#updated);
    else region.fd.close();
  }

  #update(send: () => void): void {
    const { updateDelayMs } = this.behaviour;
    if (updateDelayMs === 0) {
      this.#sendUpdates(this.#updates.length);
      send();
      return;
    }
    const timer = this.#loop.timer(updateDelayMs, () => this.#sendUpdates(this.#updates.indexOf(update) + 1));
    const update: Update = { send, timer };
    this.#updates.push(update);
  }

  /** The first `count`: an update never overtakes another. */
  #sendUpdates(count: number): void {
    for (const { send, timer } of this.#updates.splice(0, count)) {
      timer[Symbol.dispose]();
      send();
    }
  }

  /** Carries a change out behind the answer, which is sent when the handler returns. */
  #schedule(apply: () => void): void {
    if (this.behaviour.update === 'before-reply') {
      apply();
      return;
    }
    const change: Change = { apply, timer: null };
    this.#change = change;
    const run = (): void => {
      if (this.#change === change) this.settle();
    };
    const { changeDelayMs } = this.behaviour;
    if (changeDelayMs > 0) change.timer = this.#loop.timer(changeDelayMs, run);
    else this.#loop.defer(run);
  }

  /** What the end of this VM itself cuts short is no refusal. */
  readonly #updated = (error: Error | null): void => {
    if (error !== null && !this.#ended) this.updateErrors.push(error);
  };
}
