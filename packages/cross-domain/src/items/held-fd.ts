/** A descriptor that is only kept, to be passed on or claimed: a socket, or the file of an imported handle. */
import type { Fd } from '@oriel/sys';
import type { Quota } from '../quota.ts';
import type { Item } from './item.ts';

export class HeldFd implements Item {
  readonly kind: 'socket' | 'handle';
  readonly #file: Fd;
  readonly #fds: Quota;

  /** @param file - given away; one of `fds` is taken for it already */
  constructor(kind: 'socket' | 'handle', file: Fd, fds: Quota) {
    this.kind = kind;
    this.#file = file;
    this.#fds = fds;
  }

  get fd(): number {
    return this.#file.closed ? -1 : this.#file.fd;
  }

  [Symbol.dispose](): void {
    if (this.#file.closed) return;
    this.#file.close();
    this.#fds.give(1);
  }
}
