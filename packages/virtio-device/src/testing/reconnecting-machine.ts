/** A machine whose back-ends come and go: guest memory, a driver for each ring, and a front-end that connects again. */
import { TestMemory } from '@oriel/guest-memory/testing';
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, type Sys } from '@oriel/sys';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  ReconnectingFrontend,
  type ReconnectingOptions,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
} from '@oriel/vhost-user';
import { VIRTIO_F_RING_PACKED } from '@oriel/virtqueue';
import { MockDriver } from './mock-driver.ts';

/** What the machine is. */
export interface ReconnectingMachineOptions {
  readonly sys: Sys;
  readonly socketPath: string;
  readonly queues: number;
  /** Entries of each ring. */
  readonly ringSize: number;
  /** Bytes of guest memory for each ring and its buffers; default 1 MiB. */
  readonly bytesPerQueue?: number;
  /** Bytes of guest memory behind those of the rings; default 0. */
  readonly moreBytes?: number;
  /** Packed rings; default false. */
  readonly packed?: boolean;
  /** Handlers and other options of the front-end. */
  readonly frontend?: Partial<ReconnectingOptions>;
}

const DEFAULT_BYTES_PER_QUEUE = 1 << 20;
const RETRY_MS = 5;
const EVERY_FEATURE = new FeatureSet(0xffff_ffff, 0xffff_ffff);

/** The machine; its rings start with each back-end anew, where the driver is by then. */
export class ReconnectingMachine implements Disposable {
  readonly loop: BlockingLoop;
  readonly ram: TestMemory;
  readonly frontend: ReconnectingFrontend;
  readonly drivers: readonly MockDriver[];
  /** Back-ends that the machine had. */
  lives = 0;
  /** Why a ring could not be started for good; null: none was refused. */
  refusal: Error | null = null;
  readonly #fds: Fd[] = [];

  constructor(options: ReconnectingMachineOptions) {
    const { sys, socketPath, queues, ringSize, moreBytes = 0, packed = false } = options;
    const { bytesPerQueue = DEFAULT_BYTES_PER_QUEUE } = options;
    this.loop = new BlockingLoop(sys);
    const ram = new TestMemory(sys, { size: queues * bytesPerQueue + moreBytes });
    this.ram = ram;
    this.frontend = new ReconnectingFrontend({
      sys,
      loop: this.loop,
      connect: () => sys.socket.connectUnix(socketPath),
      want: {
        features: packed ? EVERY_FEATURE : EVERY_FEATURE.without(VIRTIO_F_RING_PACKED),
        protocolFeatures: FRONTEND_PROTOCOL_FEATURES.with(VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD),
      },
      memory: [{ gpa: ram.gpa, size: ram.size, userAddr: ram.userOf(ram.gpa), mmapOffset: 0, fd: ram.file.fd }],
      inflight: { queueCount: queues, queueSize: ringSize },
      retryMs: RETRY_MS,
      ...options.frontend,
      up: (connection, again) => {
        this.lives++;
        options.frontend?.up?.(connection, again);
      },
    });
    this.drivers = Array.from({ length: queues }, (_, index) => {
      const place = { memory: ram, gpa: ram.gpa + index * bytesPerQueue, len: bytesPerQueue, size: ringSize };
      return this.#startRing(sys, index, packed, place);
    });
    this.frontend.start();
  }

  [Symbol.dispose](): void {
    this.frontend[Symbol.dispose]();
    for (const fd of this.#fds) {
      fd.close();
    }
    this.ram[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }

  #startRing(
    sys: Sys,
    index: number,
    packed: boolean,
    place: { readonly memory: TestMemory; readonly gpa: number; readonly len: number; readonly size: number },
  ): MockDriver {
    const { ram } = this;
    const kick = this.#eventfd(sys);
    const call = this.#eventfd(sys);
    this.loop.watch(call.fd, EPOLLIN | EPOLLET, () => {});
    const driver = new MockDriver({
      ...place,
      packed,
      eventIdx: true,
      kick: () => sys.loop.eventfdSignal(kick.fd),
    });
    const used = new DataView(ram.u8.buffer, ram.u8.byteOffset + driver.used - ram.gpa);
    this.frontend.startRing(
      {
        index,
        size: place.size,
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
  }

  #eventfd(sys: Sys): Fd {
    const fd = new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd'));
    this.#fds.push(fd);
    return fd;
  }
}
