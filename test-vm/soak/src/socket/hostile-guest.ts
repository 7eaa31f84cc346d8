/** The guest of a hostile front-end: RAM with two rings, of which one may be written by an honest driver, and eventfds. */
import { FuseEntryOut, OUT_HEADER } from '@oriel/fuse';
import type { RequestEncoder } from '@oriel/fuse/client';
import { check, Fd, Mapping, PROT_READ, PROT_WRITE, type Sys } from '@oriel/sys';
import { MockDriver } from '@oriel/virtio-device/testing';
import { layoutSplitRing } from '@oriel/virtqueue';
import type { Xorshift } from '../random.ts';
import { memory } from './fd-kinds.ts';

export const GUEST_GPA = 0x4000_0000;
export const GUEST_USER = 0x7000_0000_0000;
export const GUEST_BYTES = 0x10_0000;
const QUEUE_BYTES = 0x4_0000;
const QUEUES = 2;
export const RING_SIZE = 32;
const MOST_SCRIBBLE = 64;
const ENTRY_REPLY = OUT_HEADER + FuseEntryOut.byteLength;

/** Where a ring lies: user addresses. */
export interface RingAddresses {
  readonly desc: number;
  readonly avail: number;
  readonly used: number;
}

/** RAM and what belongs to it. */
export class HostileGuest implements Disposable {
  readonly ramFd: Fd;
  readonly #sys: Sys;
  readonly #ram: Mapping;
  readonly #kicks: Fd[] = [];
  readonly #drivers: MockDriver[] = [];

  constructor(sys: Sys) {
    this.#sys = sys;
    this.ramFd = memory(sys, GUEST_BYTES, true);
    this.#ram = Mapping.shared(sys.mem, this.ramFd.fd, GUEST_BYTES, 0, PROT_READ | PROT_WRITE);
    for (let index = 0; index < QUEUES; index++) {
      const kick = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2'));
      this.#kicks.push(kick);
      this.#drivers.push(
        new MockDriver({
          memory: { u8: this.#ram.u8, gpa: GUEST_GPA },
          gpa: GUEST_GPA + index * QUEUE_BYTES,
          len: QUEUE_BYTES,
          size: RING_SIZE,
          eventIdx: true,
          kick: () => sys.loop.eventfdSignal(kick.fd),
        }),
      );
    }
  }

  /** The kick eventfd of a queue, lent. */
  kickFd(index: number): number {
    return this.#kicks[index % QUEUES]!.fd;
  }

  kick(index: number): void {
    this.#sys.loop.eventfdSignal(this.kickFd(index));
  }

  ring(index: number): RingAddresses {
    const { desc, avail, used } = layoutSplitRing(RING_SIZE);
    const start = GUEST_USER + (index % QUEUES) * QUEUE_BYTES;
    return { desc: start + desc, avail: start + avail, used: start + used };
  }

  /** Puts a request into a ring. @returns false when there is no room */
  submit(index: number, request: RequestEncoder, data: Uint8Array | undefined): boolean {
    const readable = [request.bytes.slice(0, request.len), ...(data === undefined || data.length === 0 ? [] : [data])];
    try {
      this.#drivers[index % QUEUES]!.send(readable, request.room > 0 ? [request.room] : []);
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  }

  /**
   * Takes back what the device returned, as far as an honest driver still understands it.
   * @param found - told of the inode that a reply as long as a LOOKUP's names
   * @returns how many
   */
  reap(found: (nodeid: number) => void): number {
    let taken = 0;
    try {
      for (const driver of this.#drivers) {
        for (let reply = driver.take(); reply !== null; reply = driver.take()) {
          taken++;
          if (reply.written === ENTRY_REPLY)
            found(FuseEntryOut.nodeid.get(new DataView(reply.bytes.buffer), OUT_HEADER));
        }
      }
    } catch {
      // The ring was scribbled over: this driver understands nothing any more, and the device must still live.
    }
    return taken;
  }

  /** Writes anything anywhere into the first pages of a queue's area: its ring, and its buffers. */
  scribble(random: Xorshift): void {
    const index = random.below(QUEUES);
    const { total } = layoutSplitRing(RING_SIZE);
    const at = index * QUEUE_BYTES + (random.once(3) ? 0x1000 + random.below(0x3000) : random.below(total));
    random.fill(this.#ram.u8.subarray(at, at + random.from(1, MOST_SCRIBBLE)));
  }

  [Symbol.dispose](): void {
    this.#ram[Symbol.dispose]();
    this.ramFd.close();
    for (const kick of this.#kicks) kick.close();
  }
}
