/**
 * How the guest uses its window: each 2 MiB slot shows a piece of a file. A slot is taken away with a request, or simply used
 * again, as Linux does after a REMOVEMAPPING that failed.
 */

import { SysError } from '@oriel/sys';
import { DAX_RANGE, type FuseClient, type PendingRequest } from '@oriel/test-vm-loopback';
import { same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import type { Tally } from '../soak.ts';

interface Slot {
  readonly nodeid: number;
  /** Which range of the file. */
  readonly range: number;
}

/** A place in the window. */
export interface WindowPiece {
  /** Bytes from the start of the window. */
  readonly moffset: number;
  readonly len: number;
}

/** The window's slots. */
export class Slots {
  readonly #client: FuseClient;
  readonly #random: Xorshift;
  readonly #tally: Tally;
  readonly #slots: (Slot | null)[];

  constructor(client: FuseClient, random: Xorshift, tally: Tally) {
    this.#client = client;
    this.#random = random;
    this.#tally = tally;
    this.#slots = new Array<Slot | null>(client.vm.window.size / DAX_RANGE).fill(null);
  }

  /** The session ended, or the device was reset. */
  forgetAll(): void {
    this.#slots.fill(null);
  }

  /**
   * Makes the piece of a file at `offset` visible.
   * @param len - bytes wanted; the piece may be shorter
   * @returns where it stands, or the errno of SETUPMAPPING
   */
  reach(nodeid: number, offset: number, len: number): WindowPiece | number {
    const range = Math.floor(offset / DAX_RANGE);
    let at = this.#slots.findIndex((slot) => slot?.nodeid === nodeid && slot.range === range);
    if (at < 0) {
      at = this.#makeRoom();
      const error = this.#setUp(nodeid, range, at);
      if (error !== 0) return error;
    }
    const inRange = offset % DAX_RANGE;
    return { moffset: at * DAX_RANGE + inRange, len: Math.min(len, DAX_RANGE - inRange) };
  }

  /**
   * SETUPMAPPING for a free slot, not waited for.
   * @returns the request, and what to do when it succeeded; null when every slot is taken
   */
  start(nodeid: number, range: number): { readonly pending: PendingRequest; readonly done: () => void } | null {
    const at = this.#slots.indexOf(null);
    if (at < 0) return null;
    const pending = this.#client.sendSetupMapping(nodeid, range * DAX_RANGE, at * DAX_RANGE, DAX_RANGE, true);
    const done = (): void => {
      this.#slots[at] = { nodeid, range };
    };
    return { pending, done };
  }

  /** True when that range of an inode stands in the window. */
  shows(nodeid: number, range: number): boolean {
    return this.#slots.some((slot) => slot?.nodeid === nodeid && slot.range === range);
  }

  /** REMOVEMAPPING of all of an inode's slots, in one request. */
  evict(nodeid: number): void {
    this.#remove(nodeid, (slot) => slot.nodeid === nodeid);
  }

  /** REMOVEMAPPING of some slot. */
  removeOne(): void {
    const used = this.#slots.filter((slot) => slot !== null);
    if (used.length === 0) return;
    const one = this.#random.pick(used);
    this.#remove(one.nodeid, (slot) => slot === one);
  }

  #makeRoom(): number {
    const free = this.#slots.flatMap((slot, index) => (slot === null ? [index] : []));
    if (free.length > 0) return this.#random.pick(free);
    const at = this.#random.below(this.#slots.length);
    const old = this.#slots[at]!;
    if (this.#random.once(4)) {
      this.#tally.saw('slot used again without removal');
      this.#slots[at] = null;
    } else {
      this.#remove(old.nodeid, (slot) => slot === old);
    }
    return at;
  }

  #setUp(nodeid: number, range: number, at: number): number {
    const error = errnoOf(() => this.#client.setupMapping(nodeid, range * DAX_RANGE, at * DAX_RANGE, DAX_RANGE, true));
    if (error !== 0) return error;
    this.#slots[at] = { nodeid, range };
    this.#tally.saw('slot set up');
    return 0;
  }

  #remove(nodeid: number, wanted: (slot: Slot) => boolean): void {
    const pairs: number[] = [];
    for (const [index, slot] of this.#slots.entries()) {
      if (slot === null || !wanted(slot)) continue;
      pairs.push(index * DAX_RANGE, DAX_RANGE);
      this.#slots[index] = null;
    }
    if (pairs.length === 0) return;
    same(
      'errno of REMOVEMAPPING',
      errnoOf(() => this.#client.removeMapping(nodeid, pairs)),
      0,
    );
    this.#tally.saw('slot removed', pairs.length / 2);
  }
}

function errnoOf(call: () => void): number {
  try {
    call();
    return 0;
  } catch (error) {
    if (error instanceof SysError) return error.errno;
    throw error;
  }
}
