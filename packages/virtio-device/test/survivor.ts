/** A guest with a disk whose back-end is killed: random requests, each checked against a model, over any number of back-ends. */

import { TestMemory } from '@oriel/guest-memory/testing';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd } from '@oriel/sys';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  ReconnectingFrontend,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
} from '@oriel/vhost-user';
import { expect } from 'chai';
import * as blk from '../examples/blk/layout.ts';
import { MockDriver } from '../src/testing/index.ts';
import { header } from './examples-blk-requests.ts';
import { sys } from './machine.ts';

const QUEUES = 2;
const RING = 128;
const BYTES_PER_QUEUE = 1 << 20;
/** Sectors that one request at a time has for itself: the order of what is under way is free. */
const SLOT = 8;
const ALL = new FeatureSet(0xffff_ffff, 0xffff_ffff);

/** Longest time without an answer, the start of a back-end included. */
const PATIENCE_MS = 10_000;

interface Sent {
  readonly slot: number;
  /** What a read must give; null for a write. */
  readonly expected: Uint8Array | null;
}

/** What a guest does with its disk. */
export interface SurvivorOptions {
  readonly socketPath: string;
  /** Bytes of the disk, all zero at first. */
  readonly size: number;
  readonly packed: boolean;
  /** A number below `limit`. */
  readonly roll: (limit: number) => number;
}

/** The guest. */
export class Survivor implements Disposable {
  readonly loop = new BlockingLoop(sys);
  readonly frontend: ReconnectingFrontend;
  /** What the disk must hold when nothing is under way. */
  readonly model: Uint8Array;
  answered = 0;
  /** Why a ring could not be started for good. */
  refusal: Error | null = null;
  readonly #options: SurvivorOptions;
  readonly #ram = new TestMemory(sys, { size: QUEUES * BYTES_PER_QUEUE });
  readonly #drivers: readonly MockDriver[];
  readonly #fds: Fd[] = [];
  readonly #sent: readonly Map<number, Sent>[] = Array.from({ length: QUEUES }, () => new Map());
  readonly #freeSlots: number[];
  #patientUntil = performance.now() + PATIENCE_MS;

  constructor(options: SurvivorOptions) {
    const { socketPath, size, packed } = options;
    this.#options = options;
    this.model = new Uint8Array(size);
    this.#freeSlots = Array.from({ length: size / blk.SECTOR / SLOT }, (_, slot) => slot);
    const eventfd = (): Fd => {
      const fd = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
      this.#fds.push(fd);
      return fd;
    };
    const ram = this.#ram;
    this.frontend = new ReconnectingFrontend({
      sys,
      loop: this.loop,
      connect: () => sys.socket.connectUnix(socketPath),
      want: {
        features: packed ? ALL : ALL.without(34),
        protocolFeatures: FRONTEND_PROTOCOL_FEATURES.with(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
      },
      memory: [{ gpa: ram.gpa, size: ram.size, userAddr: ram.userOf(ram.gpa), mmapOffset: 0, fd: ram.file.fd }],
      inflight: { queueCount: QUEUES, queueSize: RING },
      retryMs: 5,
    });
    this.#drivers = Array.from({ length: QUEUES }, (_, index) => {
      const kick = eventfd();
      const call = eventfd();
      this.loop.watch(call.fd, EPOLLIN | EPOLLET, () => {});
      const driver = new MockDriver({
        memory: ram,
        gpa: ram.gpa + index * BYTES_PER_QUEUE,
        len: BYTES_PER_QUEUE,
        size: RING,
        packed,
        eventIdx: true,
        kick: () => sys.loop.eventfdSignal(kick.fd),
      });
      const used = new DataView(ram.u8.buffer, ram.u8.byteOffset + driver.used - ram.gpa);
      this.frontend.startRing(
        {
          index,
          size: RING,
          desc: ram.userOf(driver.desc),
          avail: ram.userOf(driver.avail),
          used: ram.userOf(driver.used),
          kickFd: kick.fd,
          callFd: call.fd,
          base: () => (packed ? driver.start : used.getUint16(2, true)),
        },
        (error) => {
          this.refusal ??= error;
        },
      );
      return driver;
    });
    this.frontend.start();
  }

  /** True while requests are under way. */
  get busy(): boolean {
    return this.#sent.some((sent) => sent.size > 0);
  }

  /** Sends requests until so many are under way in each queue. */
  fill(depth: number): void {
    for (const [queue, sent] of this.#sent.entries()) {
      while (sent.size < depth) {
        this.#send(queue);
      }
    }
  }

  /** Takes what was answered and checks it; waits at most so long for something to happen. */
  turn(timeoutMs: number): void {
    this.loop.runOnce(timeoutMs);
    for (const [queue, driver] of this.#drivers.entries()) {
      for (let reply = driver.take(); reply !== null; reply = driver.take()) {
        const { slot, expected } = this.#sent[queue]!.get(reply.head)!;
        expect(reply.bytes.at(-1), 'status').to.equal(blk.VIRTIO_BLK_S_OK);
        if (expected !== null) {
          expect(Buffer.compare(reply.bytes.subarray(0, -1), expected), `slot ${slot}`).to.equal(0);
        }
        this.#sent[queue]!.delete(reply.head);
        this.#freeSlots.push(slot);
        this.answered++;
        this.#patientUntil = performance.now() + PATIENCE_MS;
      }
    }
    expect(performance.now(), 'no answer').to.be.lessThan(this.#patientUntil);
  }

  [Symbol.dispose](): void {
    this.frontend[Symbol.dispose]();
    for (const fd of this.#fds) {
      fd.close();
    }
    this.#ram[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }

  #send(queue: number): void {
    const { roll } = this.#options;
    const slot = this.#freeSlots.splice(roll(this.#freeSlots.length), 1)[0]!;
    const at = slot * SLOT * blk.SECTOR;
    const len = (1 + roll(SLOT)) * blk.SECTOR;
    const driver = this.#drivers[queue]!;
    if (roll(2) === 0) {
      const data = new Uint8Array(len).fill(roll(256));
      this.model.set(data, at);
      const head = driver.send([header(blk.VIRTIO_BLK_T_OUT, slot * SLOT), data], [1]);
      this.#sent[queue]!.set(head, { slot, expected: null });
    } else {
      const head = driver.send([header(blk.VIRTIO_BLK_T_IN, slot * SLOT)], [len, 1]);
      this.#sent[queue]!.set(head, { slot, expected: this.model.slice(at, at + len) });
    }
  }
}
