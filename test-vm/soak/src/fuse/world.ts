/** What a driver knows: inodes with the lookups it holds, open files and directories. */
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '@oriel/sys';
import type { Xorshift } from '../random.ts';

export const ROOT = 1;

/** An open file or directory. */
export interface Handle {
  readonly nodeid: number;
  readonly fh: number;
}

/** Numbers that no driver was given. */
const STRANGE = [0, 2, 3, 77, 2 ** 20, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1];

/** The driver's side of a session. */
export class FuseWorld {
  /** Lookups by nodeid, the root's not counted. */
  readonly lookups = new Map<number, number>();
  /** S_IF* of each. */
  readonly #types = new Map<number, number>();
  readonly files: Handle[] = [];
  readonly directories: Handle[] = [];
  readonly #random: Xorshift;

  constructor(random: Xorshift) {
    this.#random = random;
  }

  /** INIT, DESTROY or a reset: nothing is known any more. */
  forgetAll(): void {
    this.lookups.clear();
    this.files.length = 0;
    this.directories.length = 0;
  }

  /** An entry was answered. */
  lookedUp(nodeid: number, mode: number): void {
    this.#types.set(nodeid, mode & S_IFMT);
    this.lookups.set(nodeid, (this.lookups.get(nodeid) ?? 0) + 1);
  }

  /** A FORGET was sent. */
  forgot(nodeid: number, count: number): void {
    const left = (this.lookups.get(nodeid) ?? 0) - count;
    if (left > 0) this.lookups.set(nodeid, left);
    else this.lookups.delete(nodeid);
  }

  /** Mostly an inode that is known, sometimes none at all. */
  node(): number {
    const known = [...this.lookups.keys()];
    if (this.#random.once(25)) return this.#random.pick(STRANGE);
    return known.length === 0 ? ROOT : this.#random.pick(known);
  }

  /** Mostly a regular file. */
  fileNode(): number {
    return this.#ofType(S_IFREG);
  }

  linkNode(): number {
    return this.#ofType(S_IFLNK);
  }

  /** Mostly a directory, often the root. */
  parent(): number {
    return this.#random.once(2) ? ROOT : this.#ofType(S_IFDIR);
  }

  file(): Handle {
    return this.#handle(this.files);
  }

  directory(): Handle {
    return this.#handle(this.directories);
  }

  /** Takes a handle out, which is about to be released. */
  take(from: Handle[]): Handle {
    const random = this.#random;
    if (from.length === 0 || random.once(25)) return this.#handle(from);
    return from.splice(random.below(from.length), 1)[0]!;
  }

  #handle(from: readonly Handle[]): Handle {
    const random = this.#random;
    if (from.length > 0 && !random.once(25)) return random.pick(from);
    return { nodeid: this.node(), fh: random.pick(STRANGE) };
  }

  #ofType(type: number): number {
    const known = [...this.lookups.keys()].filter((nodeid) => this.#types.get(nodeid) === type);
    return known.length === 0 || this.#random.once(10) ? this.node() : this.#random.pick(known);
  }
}
