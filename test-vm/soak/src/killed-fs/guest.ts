/** A driver of virtio-fs over any number of back-ends, one after the other. */

import { type Asked, ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import type { Sys } from '@oriel/sys';
import { ReconnectingMachine } from '@oriel/virtio-device/testing';
import { must } from '../errors.ts';

const HIPRIO = 0;
const REQUESTS = 1;
const QUEUES = 2;
const RING = 64;
const BYTES_PER_QUEUE = 4 << 20;
/** Longest time without an answer, the pause before a restart included. */
const PATIENCE_MS = 20_000;

/** Told of the answer to a request. */
type Answered = (reply: ReplyDecoder) => void;

interface Sent {
  readonly asked: Asked;
  readonly answered: Answered;
}

/** Rings, memory, and a front-end that comes back. */
export class KilledGuest implements Disposable {
  /** Encodes all requests of this guest: no two of them have one name. */
  readonly request = new RequestEncoder();
  answers = 0;
  readonly #machine: ReconnectingMachine;
  readonly #sent = new Map<number, Sent>();
  /** FORGETs that were not taken back: they have no answer. */
  #forgets = 0;
  #patientUntil = performance.now() + PATIENCE_MS;

  constructor(sys: Sys, socketPath: string, packed: boolean) {
    const shape = { queues: QUEUES, ringSize: RING, bytesPerQueue: BYTES_PER_QUEUE, packed };
    this.#machine = new ReconnectingMachine({ sys, socketPath, ...shape });
    this.request.setxattrExt = true;
  }

  /** Back-ends that this guest had. */
  get lives(): number {
    return this.#machine.lives;
  }

  /** Requests that were not answered yet. */
  get underWay(): number {
    return this.#sent.size;
  }

  /** Sends a request, and the data of a WRITE. */
  send(request: RequestEncoder, answered: Answered, data?: Uint8Array): void {
    const { opcode, uniqueLo, uniqueHi, room, asksLength } = request;
    const head = request.bytes.slice(0, request.len);
    const readable = data === undefined ? [head] : [head, data];
    const asked = { opcode, uniqueLo, uniqueHi, room, asksLength };
    this.#sent.set(this.#machine.drivers[REQUESTS]!.send(readable, [room]), { asked, answered });
  }

  /** Sends what has no answer. */
  forget(nodeid: number, count: number): void {
    const { bytes, len } = this.request.forget(nodeid, count);
    this.#machine.drivers[HIPRIO]!.send([bytes.slice(0, len)]);
    this.#forgets++;
  }

  /** Every request and every FORGET came back. */
  get idle(): boolean {
    return this.#sent.size === 0 && this.#forgets === 0;
  }

  /** Takes what came back; waits at most so long for something to happen. */
  turn(timeoutMs: number): void {
    this.#machine.loop.runOnce(timeoutMs);
    if (this.#machine.refusal !== null) throw this.#machine.refusal;
    const requests = this.#machine.drivers[REQUESTS]!;
    for (let back = requests.take(); back !== null; back = requests.take()) {
      const { asked, answered } = this.#sent.get(back.head)!;
      this.#sent.delete(back.head);
      this.#seen();
      answered(new ReplyDecoder().take(asked, back.bytes, back.written));
    }
    const hiprio = this.#machine.drivers[HIPRIO]!;
    while (hiprio.take() !== null) {
      this.#forgets--;
      this.#seen();
    }
    must(this.idle || performance.now() < this.#patientUntil, 'no answer');
  }

  [Symbol.dispose](): void {
    this.#machine[Symbol.dispose]();
  }

  #seen(): void {
    this.answers++;
    this.#patientUntil = performance.now() + PATIENCE_MS;
  }
}
