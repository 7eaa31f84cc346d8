/**
 * Chains that a pause came upon and that cannot go back into their ring, since one behind them was answered. The driver goes
 * on waiting for them, and the device takes them up again at the next start. Which they are stands where another process
 * finds it, should this one hand over meanwhile.
 */
import type { Chain, DeviceQueue } from '@oriel/virtqueue';

const HEAD_MASK = 0xffff;
const KEPT = 0x1_0000;
/** A process that ended had taken it before. */
const AGAIN = 0x2_0000;

/** Bytes of the heads of all queues, one word for each chain that can be out. */
export function keptBytes(queues: number, queueSize: number): number {
  return queues * queueSize * 4;
}

interface TakenBack {
  readonly chain: Chain;
  readonly again: boolean;
}

export class KeptChains {
  readonly #queueSize: number;
  readonly #own: Uint32Array;
  /** By queue: words of heads, the first 0 ends them. */
  #words: Uint32Array;
  /** Chains of queues that run, which nobody has looked at yet. */
  readonly #back: TakenBack[] = [];
  #again = false;

  /** @param queueSize - chains of a queue that can be out at a time */
  constructor(queues: number, queueSize: number) {
    this.#queueSize = queueSize;
    this.#own = new Uint32Array(queues * queueSize);
    this.#words = this.#own;
  }

  /** Some are back, and not taken by `next`. */
  get waiting(): boolean {
    return this.#back.length > 0;
  }

  /** Of the chain that `next` gave last: a process that ended had taken it before. */
  get again(): boolean {
    return this.#again;
  }

  /**
   * Where the heads stand from now on.
   * @param bytes - `keptBytes` of them, 4-aligned: zeros, or what another process wrote; null: in memory of this object, with none
   */
  useState(bytes: Uint8Array | null): void {
    this.#back.length = 0;
    this.#own.fill(0);
    this.#words = bytes === null ? this.#own : new Uint32Array(bytes.buffer, bytes.byteOffset, this.#own.length);
  }

  /** Keeps a chain until its queue starts again. @param again - a process that ended had taken it before */
  keep(queue: DeviceQueue, chain: Chain, again: boolean): void {
    const words = this.#of(queue);
    const place = words.indexOf(0);
    words[place] = queue.keep(chain) | KEPT | (again ? AGAIN : 0);
  }

  /** A queue starts: its chains come back, unless it has a new driver, which knows of none. */
  start(queue: DeviceQueue, fresh: boolean): void {
    const words = this.#of(queue);
    for (let place = 0; place < words.length && words[place] !== 0; place++) {
      const word = words[place]!;
      words[place] = 0;
      const chain = fresh ? null : queue.takeBack(word & HEAD_MASK);
      if (chain !== null) this.#back.push({ chain, again: (word & AGAIN) !== 0 });
    }
  }

  /** The next chain that came back to a queue; null: there is none. */
  next(queue: DeviceQueue): Chain | null {
    const index = this.#back.findIndex(({ chain }) => chain.queue === queue);
    if (index < 0) return null;
    const { chain, again } = this.#back.splice(index, 1)[0]!;
    this.#again = again;
    return chain;
  }

  /** The chain that `next` gave is dealt with. */
  handled(): void {
    this.#again = false;
  }

  /** A queue stops: what came back and was not taken is kept once more. */
  stop(queue: DeviceQueue): void {
    const left = this.#back.filter(({ chain }) => chain.queue === queue);
    if (left.length === 0) return;
    const others = this.#back.filter(({ chain }) => chain.queue !== queue);
    this.#back.splice(0, this.#back.length, ...others);
    for (const { chain, again } of left) this.keep(queue, chain, again);
  }

  #of({ index }: DeviceQueue): Uint32Array {
    return this.#words.subarray(index * this.#queueSize, (index + 1) * this.#queueSize);
  }
}
