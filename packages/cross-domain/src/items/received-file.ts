/** Memory that came from a host program, waiting for the guest to make a blob of it. */
import type { HostBlob } from '@oriel/gpu-blob';
import type { Quota } from '../quota.ts';
import type { Item } from './item.ts';

export class ReceivedFile implements Item {
  readonly #fds: Quota;
  #blob: HostBlob | null;

  /** @param blob - given away; one of `fds` is taken for it already */
  constructor(blob: HostBlob, fds: Quota) {
    this.#blob = blob;
    this.#fds = fds;
  }

  get fd(): number {
    return this.#blob?.fd ?? -1;
  }

  /** Bytes that a blob of it can have, whole pages. */
  get size(): number {
    return this.#blob?.size ?? 0;
  }

  /** Gives the memory away; null a second time. */
  take(): HostBlob | null {
    const blob = this.#blob;
    this.#blob = null;
    if (blob !== null) this.#fds.give(1);
    return blob;
  }

  [Symbol.dispose](): void {
    this.take()?.[Symbol.dispose]();
  }
}
