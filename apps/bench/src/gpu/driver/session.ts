/** A driver's stay at a virtio-gpu back-end: the VMM's connection and window, guest memory, rings. */
import {
  VIRTIO_GPU_F_CONTEXT_INIT,
  VIRTIO_GPU_F_RESOURCE_BLOB,
  VIRTIO_GPU_F_VIRGL,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
} from '@oriel/gpu-blob';
import { decodeReply, replySize, typeOf } from '@oriel/gpu-blob/testing';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, type Sys } from '@oriel/sys';
import {
  FeatureSet,
  FrontendConnection,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_SHMEM,
  VIRTIO_F_VERSION_1,
  VIRTIO_RING_F_EVENT_IDX,
} from '@oriel/vhost-user';
import { VIRTIO_RING_F_INDIRECT_DESC } from '@oriel/virtqueue';
import { GuestRam, PAGE, RAM_GPA } from '../../driver/ram.ts';
import { RequestQueue } from '../../driver/request-queue.ts';
import type { Lane } from '../../driver/runner.ts';
import { BenchError } from '../../errors.ts';
import type { GpuCommand } from './command.ts';
import { DisplayReader } from './display-reader.ts';
import { GuestWindow, WINDOW_GPA } from './guest-window.ts';

const NEEDED = [
  ...[VIRTIO_F_VERSION_1, VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC],
  ...[VIRTIO_GPU_F_VIRGL, VIRTIO_GPU_F_RESOURCE_BLOB, VIRTIO_GPU_F_CONTEXT_INIT],
];
const PROTOCOL_FEATURES = FeatureSet.of(
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_BACKEND_REQ,
  VHOST_USER_PROTOCOL_F_BACKEND_SEND_FD,
  VHOST_USER_PROTOCOL_F_SHMEM,
);

const CONTROL = { index: 0, size: 256, longest: 2 };
const CURSOR = { index: 1, size: 16, longest: 1 };
const SMALL_BYTES = 1 << 20;
/** Pages of pixels: two pictures of 1920 x 1080. */
const PAGE_COUNT = 4096;
/** Of a request outside of the timed loop; the longest has an entry for each page. */
const REQUEST_ROOM = 64 << 10;
const NO_BYTES = new Uint8Array(0);

/** A connected driver and the VMM around it, in one thread. */
export class GpuSession implements Lane<GpuCommand>, Disposable {
  readonly sys: Sys;
  readonly ram: GuestRam;
  readonly requests: RequestQueue<GpuCommand>;
  /** That of commands, and the cursor's. */
  readonly queues: readonly RequestQueue<GpuCommand>[];
  readonly window: GuestWindow;
  readonly #resources: DisposableStack;
  readonly #loop: BlockingLoop;
  readonly #connection: FrontendConnection;
  readonly #requestAt: number;
  readonly #replyAt: number;
  #display: DisplayReader | null = null;
  #gone = '';
  #lastId = 0;

  /**
   * Connects and starts the rings.
   * @throws SysError when nobody listens; VhostUserError; BenchError ERR_BENCH_PEER when something is missing
   */
  constructor(sys: Sys, socketPath: string) {
    using resources = new DisposableStack();
    this.sys = sys;
    this.#loop = resources.use(new BlockingLoop(sys));
    const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
    const connection: FrontendConnection = resources.use(
      new FrontendConnection({
        sys,
        loop: this.#loop,
        socket,
        announce: () => ({ gpa: WINDOW_GPA, userAddr: this.window.userAddr }),
        handlers: {
          shmemMap: (request, fd) => this.window.map(request, fd),
          shmemUnmap: (request) => this.window.unmap(request),
          disconnected: (reason) => {
            this.#gone = reason;
          },
        },
      }),
    );
    this.#connection = connection;
    const wish = { features: FeatureSet.of(...NEEDED), protocolFeatures: PROTOCOL_FEATURES };
    connection.wait((done) => connection.negotiate(wish, done));
    const missing = NEEDED.find((bit) => !connection.features.has(bit));
    const region = connection.shmRegions[0];
    if (missing !== undefined || region === undefined) {
      const what = missing === undefined ? 'a shared memory region' : `feature bit ${missing}`;
      throw new BenchError('ERR_BENCH_PEER', `the back-end at ${socketPath} lacks ${what}`);
    }
    this.window = resources.use(new GuestWindow(sys.mem, region.size));
    this.ram = resources.use(new GuestRam(sys, SMALL_BYTES, PAGE_COUNT));
    this.requests = resources.use(new RequestQueue<GpuCommand>(sys, this.ram, CONTROL));
    this.queues = [this.requests, resources.use(new RequestQueue<GpuCommand>(sys, this.ram, CURSOR))];
    this.#requestAt = this.ram.take(REQUEST_ROOM);
    this.#replyAt = this.ram.take(PAGE);
    const call = resources.use(new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd2')));
    // Edge-triggered and never read: the wake-up is all that is wanted of it.
    this.#loop.watch(call.fd, EPOLLIN | EPOLLET, () => {});
    const { size, userAddr, file } = this.ram;
    const memory = { gpa: RAM_GPA, size, userAddr, mmapOffset: 0, fd: file.fd };
    connection.wait((done) => connection.addMemoryRegion(memory, done));
    for (const { index, size: entries, kick, place } of this.queues) {
      const ring = { index, size: entries, base: 0, kickFd: kick.fd, callFd: call.fd, ...place };
      connection.wait((done) => connection.startRing(ring, done));
    }
    this.#resources = resources.move();
  }

  /** The VMM's display, while it has one. */
  get display(): DisplayReader | null {
    return this.#display;
  }

  /** Gives the back-end a display of `width` x `height` pixels, in place of the one before. @throws VhostUserError */
  openDisplay(width: number, height: number): DisplayReader {
    this.closeDisplay();
    const ends = new Int32Array(2);
    check(this.sys.socket.socketpair(ends), 'socketpair');
    using theirs = new Fd(this.sys.fd, ends[1]!);
    const display = new DisplayReader(this.sys, this.#loop, new Fd(this.sys.fd, ends[0]!), width, height);
    this.#display = display;
    this.#connection.wait((done) =>
      this.#connection.request('GPU_SET_SOCKET', NO_BYTES, [theirs.fd], (error) => done(error)),
    );
    return display;
  }

  /** Takes the display away, if there is one: the back-end shows pictures to nobody then. */
  closeDisplay(): void {
    this.#display?.[Symbol.dispose]();
    this.#display = null;
  }

  /** A number that no resource and no context has had. */
  newId(): number {
    this.#lastId++;
    return this.#lastId;
  }

  /**
   * Sends a command and waits for its answer, which must not be an error. Not for the timed loop.
   * @throws BenchError ERR_BENCH_ANSWER
   */
  must(command: Uint8Array): void {
    const { ram } = this;
    const ring = this.requests.ring;
    ram.u8.set(command, this.#requestAt);
    const room = replySize(typeOf(command));
    const head = ring.add([
      { gpa: RAM_GPA + this.#requestAt, len: command.length, writable: false },
      { gpa: RAM_GPA + this.#replyAt, len: room, writable: true },
    ]);
    if (head < 0) throw new RangeError('the control queue is full');
    ring.publish();
    while (!ring.takeUsed()) {
      if (!ring.enableCalls()) this.sleep();
    }
    const { type } = decodeReply(ram.u8.slice(this.#replyAt, this.#replyAt + ring.usedLen));
    if (type >= VIRTIO_GPU_RESP_ERR_UNSPEC) throw answerError(typeOf(command), type);
  }

  /** Sleeps until something happens on any channel. @throws BenchError ERR_BENCH_PEER when the back-end is gone */
  sleep(): void {
    this.#loop.runOnce(-1);
    if (this.#gone !== '') throw new BenchError('ERR_BENCH_PEER', `the back-end left: ${this.#gone}`);
    const problem = this.#display?.problem ?? '';
    if (problem !== '') throw new BenchError('ERR_BENCH_ANSWER', `the display channel: ${problem}`);
  }

  /** Leaves without a word, as a VM that is killed. */
  [Symbol.dispose](): void {
    this.closeDisplay();
    this.#resources[Symbol.dispose]();
  }
}

function answerError(command: number, answer: number): BenchError {
  const detail = `command 0x${command.toString(16)} was answered with 0x${answer.toString(16)}`;
  return new BenchError('ERR_BENCH_ANSWER', detail);
}
