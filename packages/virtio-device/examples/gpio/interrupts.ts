/** The event queue: a buffer of the driver for each line, kept until its level changes. */
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import {
  VIRTIO_GPIO_IRQ_STATUS_INVALID,
  VIRTIO_GPIO_IRQ_STATUS_VALID,
  VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH,
  VIRTIO_GPIO_IRQ_TYPE_EDGE_FALLING,
  VIRTIO_GPIO_IRQ_TYPE_EDGE_RISING,
  VIRTIO_GPIO_IRQ_TYPE_NONE,
  VirtioGpioIrqRequest,
} from './layout.ts';

/** Interrupts of all lines. */
export class Interrupts {
  readonly #types: Uint8Array;
  /** 1 for a line whose edge came while the driver had no buffer there. */
  readonly #latched: Uint8Array;
  readonly #waiting: (Chain | null)[];
  /** Heads of buffers that were out when the queue stopped. */
  readonly #kept: number[] = [];
  readonly #bytes = new Uint8Array(VirtioGpioIrqRequest.byteLength);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #status = new Uint8Array(1);

  constructor(lines: number) {
    this.#types = new Uint8Array(lines);
    this.#latched = new Uint8Array(lines);
    this.#waiting = new Array(lines).fill(null);
  }

  start(queue: DeviceQueue, fresh: boolean): void {
    for (const head of this.#kept.splice(0)) {
      const chain = fresh ? null : queue.takeBack(head);
      if (chain !== null) this.take(chain);
    }
    queue.flush();
  }

  /** Buffers go back into the ring; those that were overtaken by another are kept. */
  stop(): void {
    for (const chain of this.#waiting) {
      if (chain !== null && !chain.queue.unfetch(chain)) this.#kept.push(chain.queue.keep(chain));
    }
    this.#waiting.fill(null);
  }

  reset(): void {
    this.#types.fill(VIRTIO_GPIO_IRQ_TYPE_NONE);
    this.#latched.fill(0);
    this.#kept.length = 0;
  }

  /** @returns false for a type that is not served */
  setType(line: number, type: number): boolean {
    if (type > VIRTIO_GPIO_IRQ_TYPE_EDGE_BOTH) return false;
    this.#types[line] = type;
    this.#latched[line] = 0;
    if (type === VIRTIO_GPIO_IRQ_TYPE_NONE) this.#wake(line, VIRTIO_GPIO_IRQ_STATUS_INVALID);
    return true;
  }

  /** Takes a buffer of the driver. */
  take(chain: Chain): void {
    const { length } = this.#bytes;
    const line = chain.read(0, this.#bytes, 0, length) === length ? VirtioGpioIrqRequest.gpio.get(this.#view, 0) : -1;
    // A line that is not there has no type either.
    if (!this.#types[line] || this.#waiting[line] !== null) {
      this.#answer(chain, VIRTIO_GPIO_IRQ_STATUS_INVALID);
    } else if (this.#latched[line] === 1) {
      this.#latched[line] = 0;
      this.#answer(chain, VIRTIO_GPIO_IRQ_STATUS_VALID);
    } else {
      this.#waiting[line] = chain;
    }
  }

  /** The level of a line changed. */
  edge(line: number, level: number): void {
    const kind = level === 1 ? VIRTIO_GPIO_IRQ_TYPE_EDGE_RISING : VIRTIO_GPIO_IRQ_TYPE_EDGE_FALLING;
    if ((this.#types[line]! & kind) !== 0 && !this.#wake(line, VIRTIO_GPIO_IRQ_STATUS_VALID)) this.#latched[line] = 1;
  }

  #wake(line: number, status: number): boolean {
    const chain = this.#waiting[line] ?? null;
    if (chain === null) return false;
    this.#waiting[line] = null;
    const { queue } = chain;
    this.#answer(chain, status);
    queue.flush();
    return true;
  }

  #answer(chain: Chain, status: number): void {
    this.#status[0] = status;
    chain.queue.complete(chain, Math.max(chain.write(0, this.#status, 0, 1), 0));
  }
}
