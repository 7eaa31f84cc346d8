/**
 * How the guest uses its window: ranges of 2 MiB, set up at the first access of a piece of a file and taken away from the
 * oldest owner when none is free (Linux fs/fuse/dax.c in short).
 */
import { check } from '@oriel/sys';
import { LoopbackError } from './errors.ts';
import type { FuseClient } from './fuse-client.ts';

/** Linux FUSE_DAX_SHIFT 21: the length and the alignment of every mapping that it asks for. */
export const DAX_RANGE = 2 << 20;

interface BusyRange {
  readonly moffset: number;
  readonly nodeid: number;
  readonly foffset: number;
}

/** Reads and writes files through the window of a VM. */
export class DaxMapper {
  readonly #client: FuseClient;
  readonly #free: number[] = [];
  /** In order of set-up. */
  readonly #busy = new Map<string, BusyRange>();

  constructor(client: FuseClient) {
    this.#client = client;
    this.forgetAll();
  }

  /** Ranges in use now. */
  get mapped(): number {
    return this.#busy.size;
  }

  /** Fills `to` from the file's bytes at `offset`, which the caller knows to lie in the file. @throws SysError */
  read(nodeid: number, offset: number, to: Uint8Array): void {
    this.#pieces(nodeid, offset, to, false, (at, part) => check(this.#client.vm.window.read(at, part), 'window read'));
  }

  /** Stores bytes into the file, which must already be that long. @throws SysError */
  write(nodeid: number, offset: number, from: Uint8Array): void {
    this.#pieces(nodeid, offset, from, true, (at, part) =>
      check(this.#client.vm.window.write(at, part), 'window write'),
    );
  }

  /** Sets up the range that holds the byte at `offset`. @returns its offset in the window */
  map(nodeid: number, offset: number, writable: boolean): number {
    const foffset = Math.floor(offset / DAX_RANGE) * DAX_RANGE;
    const key = `${nodeid}:${foffset}`;
    const found = this.#busy.get(key);
    if (found !== undefined) return found.moffset;
    const moffset = this.#free.shift() ?? this.#reclaim();
    try {
      this.#client.setupMapping(nodeid, foffset, moffset, DAX_RANGE, writable);
    } catch (error) {
      this.#free.push(moffset);
      throw error;
    }
    this.#busy.set(key, { moffset, nodeid, foffset });
    return moffset;
  }

  /** The inode is evicted: all its ranges go, in one request. */
  evict(nodeid: number): void {
    const ranges = [...this.#busy].filter(([, range]) => range.nodeid === nodeid);
    if (ranges.length === 0) return;
    this.#client.removeMapping(
      nodeid,
      ranges.flatMap(([, range]) => [range.moffset, DAX_RANGE]),
    );
    for (const [key, range] of ranges) {
      this.#busy.delete(key);
      this.#free.push(range.moffset);
    }
  }

  /** The session ended, or the device was reset: nothing is mapped any more. */
  forgetAll(): void {
    this.#busy.clear();
    this.#free.length = 0;
    for (let moffset = 0; moffset < this.#client.vm.window.size; moffset += DAX_RANGE) this.#free.push(moffset);
  }

  #reclaim(): number {
    const oldest = this.#busy.entries().next().value;
    if (oldest === undefined) throw new LoopbackError('ERR_LOOPBACK_RANGE', 'the window has no range at all');
    const [key, { nodeid, moffset }] = oldest;
    this.#client.removeMapping(nodeid, [moffset, DAX_RANGE]);
    this.#busy.delete(key);
    return moffset;
  }

  #pieces(
    nodeid: number,
    offset: number,
    bytes: Uint8Array,
    writable: boolean,
    access: (windowOffset: number, part: Uint8Array) => void,
  ): void {
    for (let done = 0; done < bytes.length; ) {
      const at = offset + done;
      const inRange = at % DAX_RANGE;
      const part = bytes.subarray(done, done + DAX_RANGE - inRange);
      access(this.map(nodeid, at, writable) + inRange, part);
      done += part.length;
    }
  }
}
