/** A pipe into which a host program writes: the guest gets READs, and one that says that it is over. */
import { EAGAIN, EPOLLET, EPOLLIN, type Fd, type Watch } from '@oriel/sys';
import type { EventSource } from '../events/deliveries.ts';
import { putRead, READ_DATA_AT } from '../events/read-message.ts';
import type { Ring } from '../events/ring.ts';
import { tryWatch } from '../io/try-watch.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Item } from './item.ts';

export class ReadPipe implements Item, EventSource {
  /** Our end is ours. */
  readonly fd = -1;
  readonly #id: number;
  readonly #file: Fd;
  readonly #around: Surroundings;
  readonly #onEnd: () => void;
  readonly #watch: Watch | null;
  #ended = false;

  /**
   * @param file - the end to read, non-blocking, given away; one of the descriptors' quota is taken for it already
   * @param onEnd - the guest was told that it is over
   */
  constructor(id: number, file: Fd, around: Surroundings, onEnd: () => void) {
    this.#id = id;
    this.#file = file;
    this.#around = around;
    this.#onEnd = onEnd;
    this.#watch = tryWatch(around.host.loop, file.fd, EPOLLIN | EPOLLET, () => around.deliveries.ready(this));
    // Nothing would tell of what comes: the guest hears of an end.
    if (this.#watch === null) around.deliveries.ready(this);
  }

  compose(ring: Ring): number {
    const { scratch, room } = ring;
    if (this.#file.closed || this.#ended || room <= READ_DATA_AT) return 0;
    const { sys } = this.#around.host;
    const size = sys.fd.read(this.#file.fd, scratch.bytes.subarray(READ_DATA_AT), room - READ_DATA_AT);
    if (size === -EAGAIN && this.#watch !== null) return 0;
    this.#ended = size <= 0;
    return putRead(scratch, this.#id, Math.max(0, size), this.#ended);
  }

  delivered(): void {
    if (this.#ended) this.#onEnd();
  }

  [Symbol.dispose](): void {
    if (this.#file.closed) return;
    this.#around.deliveries.forget(this);
    this.#watch?.[Symbol.dispose]();
    this.#file.close();
    this.#around.quotas.fds.give(1);
  }
}
