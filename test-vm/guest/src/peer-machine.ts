/**
 * Our front-end and our driver on the socket of a back-end that no one here wrote. Unlike a guest it has no device driver: the
 * requests are the test's.
 */
import { BlockingLoop, check, EPOLLET, EPOLLIN, Fd, openSys } from '@oriel/sys';
import {
  FeatureSet,
  FRONTEND_PROTOCOL_FEATURES,
  type Reply,
  VHOST_USER_PROTOCOL_F_STATUS,
  VIRTIO_F_VERSION_1,
} from '@oriel/vhost-user';
import { MockFrontend } from '@oriel/vhost-user/testing';
import { type DriverReply, MockDriver } from '@oriel/virtio-device/testing';
import {
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
} from '@oriel/virtqueue';

/** ACKNOWLEDGE, DRIVER, DRIVER_OK and FEATURES_OK (VIRTIO 1.3, 2.1). */
const DRIVER_IS_READY = 0xf;
const NOTHING = new Uint8Array(0);

/** How a machine meets its back-end. */
export interface PeerOptions {
  /** Device features to accept where they are offered, beside VERSION_1. */
  readonly features?: readonly number[];
  /** More protocol features to accept than the front-end needs. */
  readonly protocolFeatures?: readonly number[];
  /** Bytes of guest RAM for each queue: ring, tables and buffers; default 1 MiB. */
  readonly queueBytes?: number;
  /** Queues that there is RAM for; default 2. */
  readonly queues?: number;
}

/** One request of a load. */
export interface PeerRequest {
  readonly readable: readonly Uint8Array[];
  readonly writable: readonly number[];
  /** Looks at the reply. */
  readonly check: (reply: DriverReply) => void;
}

/** A front-end with drivers, connected to a back-end that listens on a path. */
export class PeerMachine implements Disposable {
  readonly loop: BlockingLoop;
  readonly mock: MockFrontend;
  /** What the back-end offered. */
  readonly offered: FeatureSet;
  readonly offeredProtocol: FeatureSet;
  readonly #queueBytes: number;
  readonly #watched = new Map<number, Disposable>();

  constructor(socketPath: string, options: PeerOptions = {}) {
    const { features = [], protocolFeatures = [], queueBytes = 1 << 20, queues = 2 } = options;
    const sys = openSys();
    using cleanup = new DisposableStack();
    this.#queueBytes = queueBytes;
    this.loop = cleanup.use(new BlockingLoop(sys));
    const socket = new Fd(sys.fd, check(sys.socket.connectUnix(socketPath), 'connect'));
    this.mock = cleanup.use(
      new MockFrontend({
        sys,
        loop: this.loop,
        socket,
        ramSize: queueBytes * queues,
        features: FeatureSet.of(VIRTIO_F_VERSION_1, ...features),
        protocolFeatures: FRONTEND_PROTOCOL_FEATURES.with(...protocolFeatures),
      }),
    );
    this.offered = this.#set('GET_FEATURES');
    this.offeredProtocol = this.#set('GET_PROTOCOL_FEATURES');
    this.mock.connect();
    cleanup.move();
  }

  /** Sends any message of the table and waits for its reply. @throws VhostUserError */
  request(name: string, payload: Uint8Array = NOTHING, fds: readonly number[] = []): Reply | null {
    return this.mock.frontend.wait<Reply | null>((done) =>
      this.mock.frontend.request(name, payload, fds, (error, reply) => done(error, reply)),
    );
  }

  /** The configuration space. */
  config(size: number, offset = 0): DataView {
    const bytes = this.mock.frontend.wait<Uint8Array>((done) => this.mock.frontend.getConfig(offset, size, done));
    return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A driver whose ring runs, in the format that was accepted. */
  start(index: number, size = 128): MockDriver {
    const { features } = this.mock.frontend;
    const driver = new MockDriver({
      memory: { u8: this.mock.ram.u8, gpa: MockFrontend.RAM_GPA },
      gpa: MockFrontend.RAM_GPA + index * this.#queueBytes,
      len: this.#queueBytes,
      size,
      eventIdx: features.has(VIRTIO_RING_F_EVENT_IDX),
      indirect: features.has(VIRTIO_RING_F_INDIRECT_DESC),
      packed: features.has(VIRTIO_F_RING_PACKED),
      inOrder: features.has(VIRTIO_F_IN_ORDER),
      kick: () => this.mock.kick(index),
    });
    this.resume(index, driver, driver.start);
    return driver;
  }

  /** Starts the ring of a driver at a base, as after a stop. */
  resume(index: number, { size, desc, avail, used }: MockDriver, base: number): void {
    const { callFd } = this.mock.startRing(index, { size, desc, avail, used, base });
    this.#watched.get(index)?.[Symbol.dispose]();
    this.#watched.set(
      index,
      this.loop.watch(callFd, EPOLLIN | EPOLLET, () => {}),
    );
  }

  /** The driver is ready: every ring that it wants runs. Some back-ends begin no sooner, where STATUS was accepted. */
  ready(): void {
    const { frontend } = this.mock;
    if (!frontend.protocolFeatures.has(VHOST_USER_PROTOCOL_F_STATUS)) return;
    frontend.wait((done) => frontend.setStatus(DRIVER_IS_READY, done));
  }

  /** Sends a chain and waits for its answer. */
  ask(driver: MockDriver, readable: readonly Uint8Array[], writable: readonly number[] = []): DriverReply {
    let reply: DriverReply | undefined;
    this.load([driver], 1, [{ readable, writable, check: (one) => (reply = one) }]);
    return reply!;
  }

  /**
   * Sends requests to the drivers by turns, `depth` at a time to each, and looks at each reply.
   * @throws Error when an answer is missing for five seconds
   */
  load(drivers: readonly MockDriver[], depth: number, requests: Iterable<PeerRequest>): void {
    const waiting = drivers.map(() => new Map<number, PeerRequest>());
    const source = requests[Symbol.iterator]();
    let left = true;
    const turn = (): boolean => {
      let took = false;
      for (const [index, driver] of drivers.entries()) {
        const sent = waiting[index]!;
        for (let reply = driver.take(); reply !== null; reply = driver.take()) {
          const request = sent.get(reply.head)!;
          sent.delete(reply.head);
          took = true;
          request.check(reply);
        }
        while (left && sent.size < depth) {
          const next = source.next();
          if (next.done === true) left = false;
          else sent.set(driver.send(next.value.readable, next.value.writable), next.value);
        }
      }
      return took;
    };
    const over = (): boolean => !left && waiting.every((sent) => sent.size === 0);
    turn();
    while (!over()) this.mock.runUntil(turn);
  }

  [Symbol.dispose](): void {
    for (const watch of this.#watched.values()) watch[Symbol.dispose]();
    this.mock[Symbol.dispose]();
    this.loop[Symbol.dispose]();
  }

  #set(name: string): FeatureSet {
    const { payload } = this.request(name)!;
    const view = new DataView(payload.buffer, payload.byteOffset);
    return new FeatureSet(view.getUint32(0, true), view.getUint32(4, true));
  }
}
