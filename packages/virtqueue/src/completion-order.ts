/** VIRTIO_F_IN_ORDER for a device that completes in any order (VIRTIO 1.3, 2.7.9 and 2.8.11): what waits for those before it. */
import type { KeptBuffer, KeptChain } from './queue.ts';

/** Not completed yet. */
const PENDING = -1;

/** The chains that the driver waits for, oldest first; made once, for `size` of them. */
export class CompletionOrder {
  readonly #size: number;
  readonly #heads: Uint16Array;
  readonly #slots: Uint16Array;
  readonly #written: Float64Array;
  /** Place of each head among the others. */
  readonly #places = new Uint16Array(0x1_0000);
  #first = 0;
  #count = 0;
  #held = 0;

  constructor(size: number) {
    this.#size = size;
    this.#heads = new Uint16Array(size);
    this.#slots = new Uint16Array(size);
    this.#written = new Float64Array(size);
  }

  /** True when the oldest chain is complete: `head`, `slots` and `written` are its own. */
  get ready(): boolean {
    return this.#count > 0 && this.#written[this.#first]! !== PENDING;
  }

  get head(): number {
    return this.#heads[this.#first]!;
  }

  get slots(): number {
    return this.#slots[this.#first]!;
  }

  get written(): number {
    return this.#written[this.#first]!;
  }

  /** Complete chains among them. */
  get held(): number {
    return this.#held;
  }

  has(head: number): boolean {
    const place = this.#places[head]!;
    const behind = place >= this.#first ? place - this.#first : place - this.#first + this.#size;
    return behind < this.#count && this.#heads[place] === head;
  }

  /** A chain that comes behind all others; at most `size` of them. */
  add(head: number, slots: number, written = PENDING): void {
    const place = (this.#first + this.#count) % this.#size;
    this.#heads[place] = head;
    this.#slots[place] = slots;
    this.#written[place] = written;
    this.#places[head] = place;
    this.#count++;
    if (written !== PENDING) this.#held++;
  }

  /** The device completed this one. */
  settle(head: number, written: number): void {
    this.#written[this.#places[head]!] = written;
    this.#held++;
  }

  /** The oldest, which is complete, was given to the driver. */
  shift(): void {
    this.#first = (this.#first + 1) % this.#size;
    this.#count--;
    this.#held--;
  }

  /** The newest ones, not complete, went back into the ring. */
  drop(count: number): void {
    this.#count -= count;
  }

  /** All of them, for the next queue of the ring. */
  list(buffersOf: (head: number) => readonly KeptBuffer[]): KeptChain[] {
    return Array.from({ length: this.#count }, (_, i) => {
      const place = (this.#first + i) % this.#size;
      const head = this.#heads[place]!;
      const written = this.#written[place]!;
      return { head, written, slots: this.#slots[place]!, buffers: written === PENDING ? buffersOf(head) : [] };
    });
  }
}
