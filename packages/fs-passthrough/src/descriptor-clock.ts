/**
 * Which descriptor to give up next: second chance, a cheap likeness of "least recently used". Descriptors stand in a ring;
 * a hand goes round, passes those used since it last came by, and stops at the first that was not. All by columns with the
 * descriptor's number as index, which the kernel keeps small.
 */
import { grown } from './columns.ts';

const NONE = -1;
const FIRST_CAPACITY = 256;

/** The ring. */
export class DescriptorClock {
  #next = new Int32Array(FIRST_CAPACITY).fill(NONE);
  #previous = new Int32Array(FIRST_CAPACITY);
  #owners = new Int32Array(FIRST_CAPACITY);
  /** 1: used since the hand came by. */
  #used = new Uint8Array(FIRST_CAPACITY);
  #hand = NONE;

  /** Nothing can be given up. */
  get empty(): boolean {
    return this.#hand === NONE;
  }

  /** Makes `touch` work for a descriptor, in the ring or not. */
  reserve(fd: number): void {
    let length = this.#next.length;
    if (fd < length) {
      return;
    }
    while (length <= fd) {
      length *= 2;
    }
    this.#next = grown(this.#next, length, NONE);
    this.#previous = grown(this.#previous, length);
    this.#owners = grown(this.#owners, length);
    this.#used = grown(this.#used, length);
  }

  /** Puts a descriptor where the hand comes last; one that is there stays there. */
  add(fd: number, owner: number): void {
    if (this.has(fd)) {
      return;
    }
    this.reserve(fd);
    this.#owners[fd] = owner;
    this.#used[fd] = 0;
    const hand = this.#hand;
    if (hand === NONE) {
      this.#next[fd] = fd;
      this.#previous[fd] = fd;
      this.#hand = fd;
      return;
    }
    const last = this.#previous[hand]!;
    this.#next[last] = fd;
    this.#previous[fd] = last;
    this.#next[fd] = hand;
    this.#previous[hand] = fd;
  }

  has(fd: number): boolean {
    return fd < this.#next.length && this.#next[fd] !== NONE;
  }

  /** A descriptor is used. */
  touch(fd: number): void {
    this.#used[fd] = 1;
  }

  /** What `add` was told. */
  owner(fd: number): number {
    return this.#owners[fd]!;
  }

  /** Takes a descriptor out, if it is in. */
  remove(fd: number): void {
    if (!this.has(fd)) {
      return;
    }
    const next = this.#next[fd]!;
    const previous = this.#previous[fd]!;
    this.#next[previous] = next;
    this.#previous[next] = previous;
    if (this.#hand === fd) {
      this.#hand = next === fd ? NONE : next;
    }
    this.#next[fd] = NONE;
  }

  /** Goes on to the next descriptor that was not used lately, and takes it out. @returns it, or -1 when the ring is empty */
  take(): number {
    let fd = this.#hand;
    if (fd === NONE) {
      return NONE;
    }
    while (this.#used[fd] !== 0) {
      this.#used[fd] = 0;
      fd = this.#next[fd]!;
    }
    this.#hand = fd;
    this.remove(fd);
    return fd;
  }
}
