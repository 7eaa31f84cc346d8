/** One virtqueue as the guest's driver has it: ring and buffers in guest memory, an eventfd each way. */
import { check, EPOLLIN, type EventLoop, Fd, type Sys, type Watch } from '@oriel/sys';
import { type DriverBuffer, layoutSplitRing, SplitDriver } from '@oriel/virtqueue';
import { LoopbackError } from './errors.ts';
import type { GuestRam } from './guest-ram.ts';

/** How a driver uses a queue. */
export interface GuestQueueOptions {
  readonly index: number;
  /** Entries, a power of two. */
  readonly size: number;
  /** EVENT_IDX was accepted. */
  readonly eventIdx: boolean;
  /** INDIRECT_DESC was accepted: chains go into tables of their own. */
  readonly indirect: boolean;
}

/** Addresses of a ring, as SET_VRING_ADDR wants them, and what belongs to them. */
export interface RingPlace {
  readonly index: number;
  readonly size: number;
  readonly desc: number;
  readonly used: number;
  readonly avail: number;
  readonly kickFd: number;
  readonly callFd: number;
}

/** A buffer that the queue takes from guest memory, and gives back with its chain. */
interface OwnedBuffer {
  readonly gpa: number;
  readonly len: number;
}

/** A chain in the device's hands. */
export class PendingChain {
  readonly head: number;
  readonly buffers: readonly DriverBuffer[];
  /** Bytes that the device says it wrote; -1 until it returned the chain. */
  written = -1;

  constructor(head: number, buffers: readonly DriverBuffer[]) {
    this.head = head;
    this.buffers = buffers;
  }

  get done(): boolean {
    return this.written >= 0;
  }
}

const MAX_INDIRECT = 16;

/** The driver of one queue. */
export class GuestQueue implements Disposable {
  readonly index: number;
  readonly size: number;
  readonly #options: GuestQueueOptions;
  readonly #sys: Pick<Sys, 'loop'>;
  readonly #ram: GuestRam;
  readonly #kick: Fd;
  readonly #call: Fd;
  readonly #watch: Watch;
  readonly #ringGpa: number;
  readonly #tablesGpa: number;
  readonly #pending = new Map<number, PendingChain>();
  readonly #owned = new Map<PendingChain, readonly OwnedBuffer[]>();
  #driver: SplitDriver;

  /** @throws LoopbackError ERR_LOOPBACK_RANGE when guest memory is short */
  constructor(sys: Pick<Sys, 'loop' | 'fd'>, loop: EventLoop, ram: GuestRam, options: GuestQueueOptions) {
    this.index = options.index;
    this.size = options.size;
    this.#options = options;
    this.#sys = sys;
    this.#ram = ram;
    this.#ringGpa = ram.allocate(layoutSplitRing(options.size).total);
    this.#tablesGpa = options.indirect ? ram.allocate(options.size * MAX_INDIRECT * 16) : -1;
    this.#driver = this.#newDriver();
    this.#kick = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
    this.#call = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
    this.#watch = loop.watch(this.#call.fd, EPOLLIN, () => {
      sys.loop.eventfdDrain(this.#call.fd);
      this.reap();
    });
  }

  /** What the front-end tells the back-end of this ring. */
  get place(): RingPlace {
    const { desc, avail, used } = layoutSplitRing(this.size);
    const user = this.#ram.userOf(this.#ringGpa);
    const { index, size } = this;
    return {
      index,
      size,
      desc: user + desc,
      avail: user + avail,
      used: user + used,
      kickFd: this.#kick.fd,
      callFd: this.#call.fd,
    };
  }

  /** Guest physical address of the ring, for drivers that write into it what no driver should. */
  get ringGpa(): number {
    return this.#ringGpa;
  }

  /** Chains that the device has not returned. */
  get outstanding(): number {
    return this.#pending.size;
  }

  /**
   * Publishes a chain of buffers and kicks.
   * @param buffers - readable ones first; anything, also what no honest driver would send
   * @throws LoopbackError ERR_LOOPBACK_RANGE when the ring is full
   */
  submit(buffers: readonly DriverBuffer[]): PendingChain {
    const head = this.#driver.add(buffers);
    if (head < 0)
      throw new LoopbackError('ERR_LOOPBACK_RANGE', `queue ${this.index} has no ${buffers.length} free descriptors`);
    const chain = new PendingChain(head, buffers);
    this.#pending.set(head, chain);
    this.#driver.publish();
    return chain;
  }

  /**
   * Publishes a chain whose buffers are taken from guest memory, and kicks.
   * @param readable - contents, or buffers that lie elsewhere
   * @param writable - lengths, or buffers that lie elsewhere
   * @throws LoopbackError ERR_LOOPBACK_RANGE
   */
  request(
    readable: readonly (Uint8Array | DriverBuffer)[],
    writable: readonly (number | DriverBuffer)[],
  ): PendingChain {
    const owned: OwnedBuffer[] = [];
    const take = (len: number): number => {
      const gpa = this.#ram.allocate(len);
      owned.push({ gpa, len });
      return gpa;
    };
    const buffers: DriverBuffer[] = [];
    try {
      for (const bytes of readable) {
        if (bytes instanceof Uint8Array) {
          const gpa = take(bytes.length);
          this.#ram.at(gpa, bytes.length).set(bytes);
          buffers.push({ gpa, len: bytes.length, writable: false });
        } else buffers.push(bytes);
      }
      for (const room of writable)
        buffers.push(typeof room === 'number' ? { gpa: take(room), len: room, writable: true } : room);
      const chain = this.submit(buffers);
      this.#owned.set(chain, owned);
      return chain;
    } catch (error) {
      this.#release(owned);
      throw error;
    }
  }

  /** What the device wrote into buffers in guest memory, copied; the chain of a `request` gives its memory back. */
  take(chain: PendingChain): Uint8Array {
    const bytes = new Uint8Array(chain.written);
    let at = 0;
    for (const { gpa, len, writable } of chain.buffers) {
      const part = Math.min(len, chain.written - at);
      if (!writable || part <= 0) continue;
      if (this.#ram.holds(gpa)) bytes.set(this.#ram.at(gpa, part), at);
      at += part;
    }
    this.#release(this.#owned.get(chain) ?? []);
    this.#owned.delete(chain);
    return bytes;
  }

  /** Tells the device to look, whether or not there is anything new. */
  kick(): void {
    this.#sys.loop.eventfdSignal(this.#kick.fd);
  }

  /** Takes back what the device returned. @throws VirtqueueError ERR_VIRTQ_USED */
  reap(): void {
    do {
      while (this.#driver.takeUsed()) {
        const { usedHead, usedLen } = this.#driver;
        const chain = this.#pending.get(usedHead)!;
        this.#pending.delete(usedHead);
        chain.written = usedLen;
      }
    } while (this.#driver.enableCalls());
  }

  /** A driver starts afresh: an empty ring, and nothing in the device's hands. */
  reset(): void {
    this.#pending.clear();
    for (const buffers of this.#owned.values()) this.#release(buffers);
    this.#owned.clear();
    this.#driver = this.#newDriver();
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
    this.#kick.close();
    this.#call.close();
  }

  #release(buffers: readonly OwnedBuffer[]): void {
    for (const { gpa, len } of buffers) this.#ram.release(gpa, len);
  }

  #newDriver(): SplitDriver {
    const { desc, avail, used } = layoutSplitRing(this.size);
    const gpa = this.#ringGpa;
    const driver = new SplitDriver({
      memory: this.#ram.u8,
      memoryGpa: this.#ram.gpa,
      size: this.size,
      desc: gpa + desc,
      avail: gpa + avail,
      used: gpa + used,
      eventIdx: this.#options.eventIdx,
      indirectTables: this.#tablesGpa,
      maxIndirect: this.#options.indirect ? MAX_INDIRECT : 0,
      kick: () => this.kick(),
    });
    driver.enableCalls();
    return driver;
  }
}
