/** A guest with a disk whose back-end is killed: random requests, each checked against a model, over any number of back-ends. */

import type { BlockingLoop } from '@oriel/sys';
import type { ReconnectingFrontend } from '@oriel/vhost-user';
import { expect } from 'chai';
import * as blk from '../examples/blk/layout.ts';
import { ReconnectingMachine } from '../src/testing/index.ts';
import { header } from './examples-blk-requests.ts';
import { sys } from './machine.ts';

const QUEUES = 2;
const RING = 128;
/** Sectors that one request at a time has for itself: the order of what is under way is free. */
const SLOT = 8;

/** Longest time without an answer, the start of a back-end included. */
const PATIENCE_MS = 30_000;

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
  /** What the disk must hold when nothing is under way. */
  readonly model: Uint8Array;
  answered = 0;
  readonly #machine: ReconnectingMachine;
  readonly #options: SurvivorOptions;
  readonly #sent: readonly Map<number, Sent>[] = Array.from({ length: QUEUES }, () => new Map());
  readonly #freeSlots: number[];
  #patientUntil = performance.now() + PATIENCE_MS;

  constructor(options: SurvivorOptions) {
    const { socketPath, size, packed } = options;
    this.#options = options;
    this.model = new Uint8Array(size);
    this.#freeSlots = Array.from({ length: size / blk.SECTOR / SLOT }, (_, slot) => slot);
    this.#machine = new ReconnectingMachine({ sys, socketPath, queues: QUEUES, ringSize: RING, packed });
  }

  get loop(): BlockingLoop {
    return this.#machine.loop;
  }

  get frontend(): ReconnectingFrontend {
    return this.#machine.frontend;
  }

  /** Why a ring could not be started for good. */
  get refusal(): Error | null {
    return this.#machine.refusal;
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
    for (const [queue, driver] of this.#machine.drivers.entries()) {
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
    this.#machine[Symbol.dispose]();
  }

  #send(queue: number): void {
    const { roll } = this.#options;
    const slot = this.#freeSlots.splice(roll(this.#freeSlots.length), 1)[0]!;
    const at = slot * SLOT * blk.SECTOR;
    const len = (1 + roll(SLOT)) * blk.SECTOR;
    const driver = this.#machine.drivers[queue]!;
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
