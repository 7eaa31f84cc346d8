/** One virtqueue of the driver: a ring in guest memory, and the messages that go through it. */
import { check, Fd, type Sys } from '@oriel/sys';
import { type DriverBuffer, layoutSplitRing, SplitDriver } from '@oriel/virtqueue';
import type { Message } from './message.ts';
import { type GuestRam, RAM_GPA } from './ram.ts';
import type { Prepared } from './work.ts';

/** How a queue is made. */
export interface RequestQueueOptions {
  readonly index: number;
  /** Entries. */
  readonly size: number;
  /** Descriptors of the longest chain; 1: no indirect tables. */
  readonly longest: number;
}

/** A ring and its messages by head. */
export class RequestQueue<M extends Prepared = Message> implements Disposable {
  readonly index: number;
  readonly size: number;
  readonly ring: SplitDriver;
  /** The message at each head that has one. */
  readonly messages: M[] = [];
  readonly kick: Fd;
  /** Kicks sent. */
  kicks = 0;
  readonly #ringAt: number;
  readonly #ram: GuestRam;

  /** @throws SysError EMFILE; RangeError when guest memory is short */
  constructor(sys: Pick<Sys, 'loop' | 'fd'>, ram: GuestRam, options: RequestQueueOptions) {
    const { index, size, longest } = options;
    const { desc, avail, used, total } = layoutSplitRing(size);
    const at = ram.take(total);
    const kickFd = check(sys.loop.eventfd(0), 'eventfd2');
    this.index = index;
    this.size = size;
    this.#ram = ram;
    this.#ringAt = at;
    this.kick = new Fd(sys.fd, kickFd);
    this.ring = new SplitDriver({
      memory: ram.u8,
      memoryGpa: RAM_GPA,
      size,
      desc: RAM_GPA + at + desc,
      avail: RAM_GPA + at + avail,
      used: RAM_GPA + at + used,
      eventIdx: true,
      indirectTables: longest > 1 ? RAM_GPA + ram.take(size * longest * 16) : -1,
      maxIndirect: longest > 1 ? longest : 0,
      kick: () => {
        this.kicks++;
        sys.loop.eventfdSignal(kickFd);
      },
    });
    this.ring.enableCalls();
  }

  /** Where the ring lies, as SET_VRING_ADDR wants it. */
  get place(): { desc: number; avail: number; used: number } {
    const { desc, avail, used } = layoutSplitRing(this.size);
    const user = this.#ram.userAddr + this.#ringAt;
    return { desc: user + desc, avail: user + avail, used: user + used };
  }

  /** Prepares a message's chain. @returns its head @throws RangeError when the ring is full */
  prepare(message: M, buffers: readonly DriverBuffer[]): number {
    const head = this.ring.prepare(buffers);
    if (head < 0) throw new RangeError(`no descriptors left in a ring of ${this.size}`);
    this.messages[head] = message;
    return head;
  }

  [Symbol.dispose](): void {
    this.kick.close();
  }
}
