/**
 * Which slot of the inode table has an inode of the host: a hash table of chains that run through a column by slot. It has
 * no keys of its own, and nothing on V8's heap that grows with the inodes.
 */
import { grown } from './columns.ts';

const FIRST_HEADS = 64;
/** No inode has slot 0: the end of a chain. */
const END = 0;

/** Slots by (device, inode number). */
export class InodeIndex {
  #devices = new Int32Array(0);
  #inos: Uint32Array = new Uint32Array(0);
  /** First slot of each chain; as many as a power of two. */
  #heads = new Int32Array(FIRST_HEADS);
  /** By slot: the one behind it in its chain, and what chose that chain: the other columns may stand in shared memory. */
  #next = new Int32Array(0);
  #hashes = new Int32Array(0);
  #size = 0;

  /**
   * Where the inodes stand from now on; the slots that are known stay.
   * @param inos - inode numbers by slot, low and high words
   * @param devices - numbers of devices by slot
   */
  useColumns(inos: Uint32Array, devices: Int32Array<ArrayBuffer>): void {
    this.#inos = inos;
    this.#devices = devices;
    if (this.#next.length < devices.length) {
      this.#next = grown(this.#next, devices.length);
      this.#hashes = grown(this.#hashes, devices.length);
    }
  }

  /** @returns the slot of an inode, or -1 when it is not known */
  slotOf(device: number, inoLo: number, inoHi: number): number {
    let slot = this.#heads[this.#head(hashOf(inoLo, inoHi))]!;
    while (slot !== END) {
      if (this.#inos[2 * slot] === inoLo && this.#inos[2 * slot + 1] === inoHi && this.#devices[slot] === device) {
        return slot;
      }
      slot = this.#next[slot]!;
    }
    return -1;
  }

  /** Makes the inode of a slot known, whose columns are written, in place of an older one with its number. */
  add(slot: number): void {
    const inoLo = this.#inos[2 * slot]!;
    const inoHi = this.#inos[2 * slot + 1]!;
    const older = this.slotOf(this.#devices[slot]!, inoLo, inoHi);
    if (older >= 0) {
      this.delete(older);
    }
    if (this.#size >= this.#heads.length) {
      this.#grow();
    }
    this.#hashes[slot] = hashOf(inoLo, inoHi);
    this.#push(slot);
    this.#size++;
  }

  /** Forgets the inode of a slot, unless a newer one took its place. */
  delete(slot: number): void {
    const head = this.#head(this.#hashes[slot]!);
    let before = END;
    let at = this.#heads[head]!;
    while (at !== slot) {
      if (at === END) {
        return;
      }
      before = at;
      at = this.#next[at]!;
    }
    if (before === END) {
      this.#heads[head] = this.#next[slot]!;
    } else {
      this.#next[before] = this.#next[slot]!;
    }
    this.#size--;
  }

  /** Forgets all. */
  clear(): void {
    this.#heads = new Int32Array(FIRST_HEADS);
    this.#next = new Int32Array(0);
    this.#hashes = new Int32Array(0);
    this.#size = 0;
  }

  #head(hash: number): number {
    return hash & (this.#heads.length - 1);
  }

  #push(slot: number): void {
    const head = this.#head(this.#hashes[slot]!);
    this.#next[slot] = this.#heads[head]!;
    this.#heads[head] = slot;
  }

  #grow(): void {
    const heads = this.#heads;
    this.#heads = new Int32Array(heads.length * 2);
    for (const first of heads) {
      let slot = first;
      while (slot !== END) {
        const next = this.#next[slot]!;
        this.#push(slot);
        slot = next;
      }
    }
  }
}

/** Numbers of one file system lie close together, or a power of two apart: all their bits count. */
function hashOf(inoLo: number, inoHi: number): number {
  let hash = Math.imul(inoLo ^ Math.imul(inoHi, 0x85eb_ca6b), 0x9e37_79b1);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d);
  return hash ^ (hash >>> 13);
}
