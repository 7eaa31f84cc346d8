/** An eventfd of a host program: the guest adds to it, and hears of it once it asked to. */
import { EPOLLET, EPOLLIN, type Fd, type Watch } from '@oriel/sys';
import type { EventSource } from '../events/deliveries.ts';
import { putRead, READ_DATA_AT } from '../events/read-message.ts';
import type { Ring } from '../events/ring.ts';
import { tryWatch } from '../io/try-watch.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Item } from './item.ts';

/** Bytes of a count (eventfd(2)). */
export const EVENT_SIZE = 8;

export class EventItem implements Item, EventSource {
  readonly #id: number;
  readonly #file: Fd;
  readonly #around: Surroundings;
  #watch: Watch | null = null;

  /** @param file - non-blocking, given away; one of the descriptors' quota is taken for it already */
  constructor(id: number, file: Fd, around: Surroundings) {
    this.#id = id;
    this.#file = file;
    this.#around = around;
  }

  get fd(): number {
    return this.#file.closed ? -1 : this.#file.fd;
  }

  /** READ_EVENTFD_NEW: from now on each wake-up becomes a READ. @returns false where the system refuses */
  listen(): boolean {
    const { host, deliveries } = this.#around;
    this.#watch ??= tryWatch(host.loop, this.#file.fd, EPOLLIN | EPOLLET, () => deliveries.ready(this));
    return this.#watch !== null;
  }

  /** READ_EVENTFD_DESTROY. */
  mute(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = null;
    this.#around.deliveries.forget(this);
  }

  /** Adds 8 bytes; one that is full is signalled already. */
  write(count: Uint8Array): void {
    this.#around.host.sys.fd.write(this.#file.fd, count, EVENT_SIZE);
  }

  compose({ scratch, room }: Ring): number {
    if (this.#watch === null || room < READ_DATA_AT + EVENT_SIZE) return 0;
    const { sys } = this.#around.host;
    const size = sys.fd.read(this.#file.fd, scratch.bytes.subarray(READ_DATA_AT), EVENT_SIZE);
    return size === EVENT_SIZE ? putRead(scratch, this.#id, EVENT_SIZE, false) : 0;
  }

  [Symbol.dispose](): void {
    if (this.#file.closed) return;
    this.mute();
    this.#file.close();
    this.#around.quotas.fds.give(1);
  }
}
