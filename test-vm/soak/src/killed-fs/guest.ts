/** A driver of virtio-fs over any number of back-ends, one after the other. */

import { type Asked, ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { TestMemory } from '@oriel/guest-memory/testing';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, type Sys } from '@oriel/sys';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  ReconnectingFrontend,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
} from '@oriel/vhost-user';
import { MockDriver } from '@oriel/virtio-device/testing';
import { must } from '../errors.ts';

const HIPRIO = 0;
const REQUESTS = 1;
const QUEUES = 2;
const RING = 64;
const BYTES_PER_QUEUE = 4 << 20;
const ALL = new FeatureSet(0xffff_ffff, 0xffff_ffff);
const RETRY_MS = 5;
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
  readonly loop: BlockingLoop;
  /** Encodes all requests of this guest: no two of them have one name. */
  readonly request = new RequestEncoder();
  /** Back-ends that this guest had. */
  lives = 0;
  answers = 0;
  #refusal: Error | null = null;
  readonly #frontend: ReconnectingFrontend;
  readonly #ram: TestMemory;
  readonly #drivers: readonly MockDriver[];
  readonly #fds: Fd[] = [];
  readonly #sent = new Map<number, Sent>();
  /** FORGETs that were not taken back: they have no answer. */
  #forgets = 0;
  #patientUntil = performance.now() + PATIENCE_MS;

  constructor(sys: Sys, socketPath: string, packed: boolean) {
    this.loop = new BlockingLoop(sys);
    const ram = new TestMemory(sys, { size: QUEUES * BYTES_PER_QUEUE });
    this.#ram = ram;
    this.request.setxattrExt = true;
    this.#frontend = new ReconnectingFrontend({
      sys,
      loop: this.loop,
      connect: () => sys.socket.connectUnix(socketPath),
      want: {
        features: packed ? ALL : ALL.without(34),
        protocolFeatures: FRONTEND_PROTOCOL_FEATURES.with(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
      },
      memory: [{ gpa: ram.gpa, size: ram.size, userAddr: ram.userOf(ram.gpa), mmapOffset: 0, fd: ram.file.fd }],
      inflight: { queueCount: QUEUES, queueSize: RING },
      retryMs: RETRY_MS,
      up: () => {
        this.lives++;
      },
    });
    this.#drivers = Array.from({ length: QUEUES }, (_, index) => this.#startRing(sys, index, packed));
    this.#frontend.start();
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
    this.#sent.set(this.#drivers[REQUESTS]!.send(readable, [room]), { asked, answered });
  }

  /** Sends what has no answer. */
  forget(nodeid: number, count: number): void {
    const { bytes, len } = this.request.forget(nodeid, count);
    this.#drivers[HIPRIO]!.send([bytes.slice(0, len)]);
    this.#forgets++;
  }

  /** Every request and every FORGET came back. */
  get idle(): boolean {
    return this.#sent.size === 0 && this.#forgets === 0;
  }

  /** Takes what came back; waits at most so long for something to happen. */
  turn(timeoutMs: number): void {
    this.loop.runOnce(timeoutMs);
    if (this.#refusal !== null) throw this.#refusal;
    const requests = this.#drivers[REQUESTS]!;
    for (let back = requests.take(); back !== null; back = requests.take()) {
      const { asked, answered } = this.#sent.get(back.head)!;
      this.#sent.delete(back.head);
      this.#seen();
      answered(new ReplyDecoder().take(asked, back.bytes, back.written));
    }
    const hiprio = this.#drivers[HIPRIO]!;
    while (hiprio.take() !== null) {
      this.#forgets--;
      this.#seen();
    }
    must(this.idle || performance.now() < this.#patientUntil, 'no answer');
  }

  [Symbol.dispose](): void {
    this.#frontend[Symbol.dispose]();
    for (const fd of this.#fds) fd.close();
    this.#ram[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }

  #seen(): void {
    this.answers++;
    this.#patientUntil = performance.now() + PATIENCE_MS;
  }

  #startRing(sys: Sys, index: number, packed: boolean): MockDriver {
    const eventfd = (): Fd => {
      const fd = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
      this.#fds.push(fd);
      return fd;
    };
    const ram = this.#ram;
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
    this.#frontend.startRing(
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
        this.#refusal ??= error;
      },
    );
    return driver;
  }
}
