/** The guest's and the front-end's side of a `MockHost`: drivers, eventfds, in-flight areas, and where each ring stands. */
import type { TestMemory } from '@oriel/guest-memory/testing';
import { check, Fd, type Sys } from '@oriel/sys';
import { FeatureSet, type RingSetup } from '@oriel/vhost-user';
import {
  inflightBytes,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
} from '@oriel/virtqueue';
import { MockDriver } from './mock-driver.ts';

/** What the queues are. */
export interface MockQueuesOptions {
  readonly sys: Sys;
  readonly ram: TestMemory;
  readonly count: number;
  readonly size: number;
  readonly bytesPerQueue: number;
  readonly packed: boolean;
  readonly inOrder: boolean;
  readonly eventIdx: boolean;
  /** The front-end shares in-flight areas. */
  readonly inflight: boolean;
}

/** All queues of one machine. */
export class MockQueues implements Disposable {
  readonly drivers: MockDriver[] = [];
  readonly #options: MockQueuesOptions;
  readonly #kicks: readonly Fd[];
  readonly #calls: readonly Fd[];
  readonly #areas: (Uint8Array | null)[] = [];
  /** Where the next start of each ring begins; null: where a new ring does. */
  readonly #bases: (number | null)[] = [];

  constructor(options: MockQueuesOptions) {
    const { sys, count } = options;
    const eventfds = (): Fd[] =>
      Array.from({ length: count }, () => new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd')));
    this.#options = options;
    this.#kicks = eventfds();
    this.#calls = eventfds();
    this.renew();
  }

  /** What the driver accepted. */
  get features(): FeatureSet {
    const { packed, inOrder, eventIdx } = this.#options;
    return FeatureSet.of(
      VIRTIO_RING_F_INDIRECT_DESC,
      ...(packed ? [VIRTIO_F_RING_PACKED] : []),
      ...(inOrder ? [VIRTIO_F_IN_ORDER] : []),
      ...(eventIdx ? [VIRTIO_RING_F_EVENT_IDX] : []),
    );
  }

  /** The call eventfds; lent. */
  get callFds(): readonly number[] {
    return this.#calls.map(({ fd }) => fd);
  }

  /** Calls that the driver of a queue got since the last look. */
  calls(index: number): number {
    return Math.max(0, this.#options.sys.loop.eventfdDrain(this.#calls[index]!.fd));
  }

  /** New drivers, with rings and areas that nobody used. */
  renew(): void {
    const { sys, ram, size, bytesPerQueue, packed, inOrder, eventIdx, inflight } = this.#options;
    for (const [index, kick] of this.#kicks.entries()) {
      this.#bases[index] = null;
      this.#areas[index] = inflight ? new Uint8Array(inflightBytes(packed, size)) : null;
      this.drivers[index] = new MockDriver({
        memory: ram,
        gpa: ram.gpa + index * bytesPerQueue,
        len: bytesPerQueue,
        size,
        packed,
        inOrder,
        eventIdx,
        kick: () => sys.loop.eventfdSignal(kick.fd),
      });
    }
  }

  /** What the front-end says at the start of a ring. */
  setup(index: number): RingSetup {
    const { ram } = this.#options;
    const { size, desc, avail, used, start } = this.drivers[index]!;
    return {
      index,
      size,
      desc: ram.userOf(desc),
      avail: ram.userOf(avail),
      used: ram.userOf(used),
      base: this.#bases[index] ?? start,
      kickFd: this.#kicks[index]!.fd,
      inflight: this.#areas[index]!,
      dirty: null,
    };
  }

  /** A ring stopped here. */
  stopped(index: number, base: number): void {
    this.#bases[index] = base;
  }

  [Symbol.dispose](): void {
    for (const fd of [...this.#kicks, ...this.#calls]) {
      fd.close();
    }
  }
}
