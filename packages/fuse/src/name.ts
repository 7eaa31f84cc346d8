/** Names in requests, checked once in private memory. */

import type { Address } from '@oriel/sys';
import { EINVAL, ENAMETOOLONG, escapeBytes } from '@oriel/sys';

const SLASH = 0x2f;
const DOT = 0x2e;

/** NAME_MAX of Linux, without the NUL. */
export const NAME_MAX = 255;
/** PATH_MAX of Linux less its NUL: the longest symlink target. */
export const TARGET_MAX = 4095;

/** A name or path in private native memory: NUL-terminated at addr[len], checked: 1..255 bytes, no NUL, no '/', not '.' or '..'. */
export interface Name {
  readonly addr: Address;
  readonly len: number;
  /** The bytes, one character each: equal names have equal keys. For tables of file systems written in JavaScript. */
  key(): string;
  /** Escaped, for logs. */
  toString(): string;
}

/** A name inside an operation's memory, reused. `take...` reads one at byte `at` of `u8`, ending before `end`. */
export class NativeName implements Name {
  addr: Address = 0;
  len = 0;
  #u8: Uint8Array = new Uint8Array(0);
  #at = 0;

  /**
   * Takes a directory entry's name.
   * @param base - address of `u8[0]`
   * @returns the index behind the NUL; -EINVAL: no NUL before `end`, empty, '.', '..', or a slash; -ENAMETOOLONG
   */
  takeEntry(u8: Uint8Array, base: Address, at: number, end: number): number {
    let index = at;
    let slash = false;
    for (; index < end; index++) {
      const byte = u8[index]!;
      if (byte === 0) {
        break;
      }
      if (byte === SLASH) {
        slash = true;
      }
    }
    const len = index - at;
    if (index >= end || len === 0 || slash) {
      return -EINVAL;
    }
    if (len > NAME_MAX) {
      return -ENAMETOOLONG;
    }
    if (u8[at] === DOT && (len === 1 || (len === 2 && u8[at + 1] === DOT))) {
      return -EINVAL;
    }
    this.#set(u8, base, at, len);
    return index + 1;
  }

  /** Takes any text of 1..`max` bytes: a symlink's target, an attribute's name. @returns as `takeEntry` */
  takeText(u8: Uint8Array, base: Address, at: number, end: number, max: number): number {
    let index = at;
    while (index < end && u8[index] !== 0) {
      index++;
    }
    const len = index - at;
    if (index >= end || len === 0) {
      return -EINVAL;
    }
    if (len > max) {
      return -ENAMETOOLONG;
    }
    this.#set(u8, base, at, len);
    return index + 1;
  }

  key(): string {
    return Buffer.from(this.#u8.buffer, this.#u8.byteOffset + this.#at, this.len).toString('latin1');
  }

  toString(): string {
    return escapeBytes(this.#u8.subarray(this.#at, this.#at + this.len));
  }

  #set(u8: Uint8Array, base: Address, at: number, len: number): void {
    this.#u8 = u8;
    this.#at = at;
    this.addr = base + at;
    this.len = len;
  }
}
