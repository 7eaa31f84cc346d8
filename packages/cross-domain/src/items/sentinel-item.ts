/** A word in shared memory that both sides wait for: changes become SIGNALs. */
import type { EventSource } from '../events/deliveries.ts';
import { putHeader } from '../events/read-message.ts';
import type { Ring } from '../events/ring.ts';
import type { Sentinel } from '../handle-exporter.ts';
import { CrossDomainId } from '../protocol/layout.ts';
import { CROSS_DOMAIN_CMD_SIGNAL_SENTINEL } from '../protocol/values.ts';
import type { Surroundings } from '../surroundings.ts';
import type { Item } from './item.ts';

export class SentinelItem implements Item, EventSource {
  readonly #id: number;
  readonly #around: Surroundings;
  #sentinel: Sentinel | null = null;
  #changed = false;

  /** One of the descriptors' quota is taken for it already. */
  constructor(id: number, around: Surroundings) {
    this.#id = id;
    this.#around = around;
  }

  get fd(): number {
    return this.#sentinel?.fd ?? -1;
  }

  /** @param sentinel - given away */
  open(sentinel: Sentinel): void {
    this.#sentinel = sentinel;
    if (this.#changed) this.#around.deliveries.ready(this);
  }

  /** The word changed. */
  changed(): void {
    this.#changed = true;
    this.#around.deliveries.ready(this);
  }

  signal(): void {
    this.#sentinel?.signal();
  }

  compose({ scratch }: Ring): number {
    if (!this.#changed || this.#sentinel === null) return 0;
    this.#changed = false;
    putHeader(scratch, CROSS_DOMAIN_CMD_SIGNAL_SENTINEL, CrossDomainId.byteLength);
    CrossDomainId.id.set(scratch.view, 0, this.#id);
    return CrossDomainId.byteLength;
  }

  [Symbol.dispose](): void {
    const sentinel = this.#sentinel;
    if (sentinel === null) return;
    this.#sentinel = null;
    this.#around.deliveries.forget(this);
    sentinel[Symbol.dispose]();
    this.#around.quotas.fds.give(1);
  }
}
