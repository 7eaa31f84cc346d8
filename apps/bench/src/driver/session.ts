/** A driver's stay at one back-end: connection, memory, rings, and a FUSE session. */
import { FUSE_ROOT_ID } from '@oriel/fuse';
import { ReplyDecoder, RequestEncoder } from '@oriel/fuse/client';
import { BlockingLoop, check, EINTR, EPOLL_CTL_ADD, EPOLLET, EPOLLIN, Fd, type Sys } from '@oriel/sys';
import {
  FeatureSet,
  FrontendConnection,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VIRTIO_F_VERSION_1,
  VIRTIO_RING_F_EVENT_IDX,
} from '@oriel/vhost-user';
import { VIRTIO_RING_F_INDIRECT_DESC } from '@oriel/virtqueue';
import { BenchError } from '../errors.ts';
import { GuestRam, PAGE, RAM_GPA } from './ram.ts';
import { RequestQueue } from './request-queue.ts';

/** Entries of the request queue, so that a request can have all of its 256 pages. */
const REQUEST_QUEUE_SIZE = 1024;
const HIPRIO_SIZE = 128;
/** 256 pages, two headers, two buffers of arguments. */
const LONGEST_CHAIN = 260;
/** Room for messages, and for each request queue with its indirect tables. */
const MESSAGE_BYTES = 11 << 20;
const QUEUE_BYTES = 5 << 20;
const PAGE_COUNT = 20_480;
/** Bytes that an answer outside of the timed loop may have. */
const ANSWER_ROOM = 64 << 10;

const FEATURES = FeatureSet.of(VIRTIO_F_VERSION_1, VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC);
const PROTOCOL_FEATURES = FeatureSet.of(
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
);

/** A connected driver. */
export class Session implements Disposable {
  readonly sys: Sys;
  readonly ram: GuestRam;
  readonly hiprio: RequestQueue;
  /** Those of requests, then the one of high priority. */
  readonly queues: readonly RequestQueue[];
  /** The process that listens on the socket; 0 when it cannot be told. */
  readonly backendPid: number;
  /** Encodes requests for `ask`, and for messages. */
  readonly encoder = new RequestEncoder();
  readonly reply = new ReplyDecoder();
  readonly #resources: DisposableStack;
  readonly #epollFd: number;
  readonly #events = new Uint32Array(1);
  readonly #tokens = new Float64Array(1);
  readonly #requestAt: number;
  readonly #answerAt: number;
  readonly #requestQueues: readonly RequestQueue[];
  #unique = 0;

  /**
   * Connects, starts the rings and the FUSE session.
   * @param requestQueues - how many the slots are spread over
   * @throws SysError when nobody listens; VhostUserError; BenchError ERR_BENCH_PEER when a feature or a queue is missing
   */
  constructor(sys: Sys, socketPath: string, requestQueues = 1) {
    using resources = new DisposableStack();
    const loop = resources.use(new BlockingLoop(sys));
    const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
    this.backendPid = Math.max(sys.socket.peerPid(socket.fd), 0);
    const connection = resources.use(new FrontendConnection({ sys, loop, socket }));
    connection.wait((done) => connection.negotiate({ features: FEATURES, protocolFeatures: PROTOCOL_FEATURES }, done));
    for (const bit of [VIRTIO_F_VERSION_1, VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC]) {
      if (!connection.features.has(bit)) {
        throw new BenchError('ERR_BENCH_PEER', `the back-end at ${socketPath} lacks feature bit ${bit}`);
      }
    }
    // Without MQ a back-end does not say how many it has.
    const served = connection.protocolFeatures.has(VHOST_USER_PROTOCOL_F_MQ) ? connection.queueCount - 1 : 1;
    if (requestQueues > served) {
      throw new BenchError('ERR_BENCH_PEER', `the back-end at ${socketPath} has ${served} request queues`);
    }
    this.sys = sys;
    this.ram = resources.use(new GuestRam(sys, MESSAGE_BYTES + requestQueues * QUEUE_BYTES, PAGE_COUNT));
    this.hiprio = resources.use(new RequestQueue(sys, this.ram, { index: 0, size: HIPRIO_SIZE, longest: 1 }));
    this.#requestQueues = Array.from({ length: requestQueues }, (_, i) => {
      const options = { index: 1 + i, size: REQUEST_QUEUE_SIZE, longest: LONGEST_CHAIN };
      return resources.use(new RequestQueue(sys, this.ram, options));
    });
    this.queues = [...this.#requestQueues, this.hiprio];
    const call = resources.use(new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2')));
    // Edge-triggered and never read: one system call a sleep, whatever flags a back-end gives the eventfd.
    const epoll = resources.use(new Fd(sys.fd, check(sys.loop.epollCreate(), 'epoll_create1')));
    check(sys.loop.epollCtl(epoll.fd, EPOLL_CTL_ADD, call.fd, EPOLLIN | EPOLLET, 0), 'epoll_ctl');
    this.#epollFd = epoll.fd;
    this.#requestAt = this.ram.take(PAGE);
    this.#answerAt = this.ram.take(ANSWER_ROOM);
    const { size, userAddr, file } = this.ram;
    const region = { gpa: RAM_GPA, size, userAddr, mmapOffset: 0, fd: file.fd };
    connection.wait((done) => connection.setMemoryTable([region], done));
    for (const queue of this.queues) {
      const ring = { index: queue.index, size: queue.size, base: 0, kickFd: queue.kick.fd, callFd: call.fd };
      connection.wait((done) => connection.startRing({ ...ring, ...queue.place }, done));
    }
    this.encoder.uid = process.getuid!();
    this.encoder.gid = process.getgid!();
    this.#resources = resources.move();
    this.ask(this.encoder.init());
  }

  /** The request queue of a slot: they are dealt out by turns. */
  queueOf(slot: number): RequestQueue {
    return this.#requestQueues[slot % this.#requestQueues.length]!;
  }

  /** The next request's unique. */
  nextUnique(): number {
    this.#unique = (this.#unique + 2) & 0x7fff_fffe;
    return this.#unique;
  }

  /**
   * Sends a request and waits for the answer, which is then in `reply`. Not for the timed loop.
   * @throws BenchError ERR_BENCH_ANSWER for an error; FuseError for an answer that breaks the protocol
   */
  ask(request: RequestEncoder): ReplyDecoder {
    const { ram } = this;
    const { ring } = this.queueOf(0);
    const { len, room } = request;
    ram.u8.set(request.bytes.subarray(0, len), this.#requestAt);
    const sent = { gpa: RAM_GPA + this.#requestAt, len, writable: false };
    const answer = { gpa: RAM_GPA + this.#answerAt, len: room, writable: true };
    const head = ring.add(room === 0 ? [sent] : [sent, answer]);
    if (head < 0) throw new RangeError('the request queue is full');
    ring.publish();
    while (!ring.takeUsed()) {
      if (!ring.enableCalls()) this.sleep();
    }
    const bytes = ram.u8.subarray(this.#answerAt, this.#answerAt + ANSWER_ROOM);
    const reply = this.reply.take(request, bytes, ring.usedLen);
    if (reply.error !== 0) {
      throw new BenchError('ERR_BENCH_ANSWER', `opcode ${request.opcode} was answered with errno ${reply.error}`);
    }
    return reply;
  }

  /** Looks a path up, from the root. @returns its nodeid */
  resolve(...names: string[]): number {
    let nodeid = FUSE_ROOT_ID;
    for (const name of names) nodeid = this.ask(this.encoder.lookup(nodeid, name)).readEntry().nodeid;
    return nodeid;
  }

  /** Sleeps until the back-end calls, or a signal comes. */
  sleep(): void {
    const result = this.sys.loop.epollWait(this.#epollFd, -1, this.#events, this.#tokens);
    if (result !== -EINTR) check(result, 'epoll_wait');
  }

  /** Leaves without a word, as a VM that is killed. */
  [Symbol.dispose](): void {
    this.#resources[Symbol.dispose]();
  }
}
