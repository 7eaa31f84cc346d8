/** Runs a device with no VM and no socket: guest memory, rings, drivers and a front-end's regions, all in this process. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import type { BackendRegion, RegionLimits } from '@oriel/shm-region';
import { check, type EventLoop, Fd, type HelperThreads, type Logger, type Sys, silentLogger } from '@oriel/sys';
import { profiles } from '@oriel/vhost-user';
import type { QueueState } from '@oriel/virtqueue';
import { ConnectionHost } from '../connection-host.ts';
import { Counters } from '../counters.ts';
import { checkDefinition } from '../definition.ts';
import type { VirtioDevice } from '../device.ts';
import { DeviceRegions } from '../device-regions.ts';
import { LazyOffload } from '../lazy-offload.ts';
import { RateLimit } from '../rate-limit.ts';
import { Ring, type RingContext } from '../ring.ts';
import { MockDriver } from './mock-driver.ts';
import { TimedTransport } from './timed-transport.ts';

/** How a `MockHost` is set up. */
export interface MockHostOptions {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly log?: Logger;
  readonly offload?: HelperThreads;
  /** Entries of each ring; default 64, or the device's maximum where that is less. */
  readonly queueSize?: number;
  /** Bytes of guest memory for each queue's ring and buffers; default 1 MiB. */
  readonly bytesPerQueue?: number;
  /** Packed rings; default false. */
  readonly packed?: boolean;
  /** Accept IN_ORDER; default false. */
  readonly inOrder?: boolean;
  /** Accept EVENT_IDX; default true. */
  readonly eventIdx?: boolean;
  /** Limits of the regions; default: those of the strict profile. */
  readonly limits?: RegionLimits;
  /** Chains per process() call; default 64. */
  readonly batch?: number;
}

const DEFAULT_QUEUE_SIZE = 64;
const DEFAULT_BYTES_PER_QUEUE = 1024 * 1024;
const DEFAULT_WAIT_MS = 5000;
const TURN_MS = 5;
const NS_PER_MS = 1e6;

/** A machine around a device, driven by a test. */
export class MockHost implements Disposable {
  readonly device: VirtioDevice;
  readonly ram: TestMemory;
  readonly memory: GuestMemory;
  /** The front-end's answers for all regions. */
  readonly transport: TimedTransport;
  readonly counters = new Counters();
  /** Queues that the device broke off with an error of the ring. */
  readonly brokenQueues: number[] = [];
  readonly #options: MockHostOptions;
  readonly #offload: LazyOffload;
  #regions: DeviceRegions | null = null;
  readonly #callFds: Int32Array;
  readonly #kicks: Fd[] = [];
  readonly #calls: Fd[] = [];
  readonly #rings: (Ring | null)[] = [];
  /** What the last queue of each ring left; null for a new ring. */
  readonly #states: (QueueState | null)[] = [];
  #drivers: MockDriver[] = [];
  #attached = false;
  /** How often the device announced a change of its configuration space. */
  configChanges = 0;

  /** Makes the machine; the device is attached by `attach()`. @throws DeviceError ERR_DEVICE_DEFINITION */
  constructor(device: VirtioDevice, options: MockHostOptions) {
    const { sys, loop } = options;
    checkDefinition(device, profiles.strict);
    this.device = device;
    this.#options = options;
    this.#offload = new LazyOffload(sys, loop, options.offload);
    this.transport = new TimedTransport(loop);
    this.ram = new TestMemory(sys, { size: device.queueCount * this.#bytesPerQueue });
    this.memory = new GuestMemory(sys, { needs: (file) => device.needsMemory?.(file) ?? true });
    this.#callFds = new Int32Array(device.queueCount).fill(-1);
    for (let index = 0; index < device.queueCount; index++) {
      this.#kicks.push(new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd')));
      this.#calls.push(new Fd(sys.fd, check(sys.loop.eventfd(0), 'eventfd')));
      this.#callFds[index] = this.#calls[index]!.fd;
      this.#rings.push(null);
      this.#states.push(null);
    }
    this.#newDrivers();
  }

  /** True while the rings run. */
  get running(): boolean {
    return this.#rings.some((ring) => ring !== null);
  }

  /** The driver's end of a queue. */
  driver(index: number): MockDriver {
    return this.#drivers[index]!;
  }

  /** A region of the device, with its ledger. @throws RangeError */
  region(shmid: number): BackendRegion {
    const region = this.#regions?.byId.get(shmid);
    if (region === undefined) {
      throw new RangeError(`no region ${shmid}`);
    }
    return region;
  }

  /** Calls that the driver of a queue got since the last look. */
  calls(index: number): number {
    return Math.max(0, this.#options.sys.loop.eventfdDrain(this.#calls[index]!.fd));
  }

  /** A front-end connects: the device gets its host. */
  attach(): void {
    const { sys, loop } = this.#options;
    const limits = this.#options.limits ?? profiles.strict.limits;
    const log = this.#options.log ?? silentLogger;
    this.ram.addTo(this.memory);
    this.#regions = new DeviceRegions(this.device.shmRegions ?? [], {
      limits,
      maxMappings: limits.maxMappings,
      transport: this.transport,
      log,
    });
    const configChanged = (): void => {
      this.configChanges++;
    };
    const regions = this.#regions.byId;
    this.device.attach(
      new ConnectionHost({ sys, loop, log, memory: this.memory, regions, offload: this.#offload, configChanged }),
    );
    this.#attached = true;
  }

  /**
   * Gives the device a display channel, as front-ends do before each start.
   * @returns the front-end's end of it
   * @throws RangeError for a device without `setDisplaySocket`
   */
  openDisplay(): Fd {
    if (this.device.setDisplaySocket === undefined) {
      throw new RangeError(`device ${this.device.name} has no display`);
    }
    const { fd, socket } = this.#options.sys;
    const pair = new Int32Array(2);
    check(socket.socketpair(pair), 'socketpair');
    const ours = new Fd(fd, pair[0]!);
    this.device.setDisplaySocket(new Fd(fd, pair[1]!));
    return ours;
  }

  /** Starts every queue where it stopped: at the base of a new ring the first time and after `reset()`. */
  start(): void {
    this.device.setFeatures?.(this.device.features);
    this.transport.ready = true;
    this.#regions?.resume();
    for (let index = 0; index < this.device.queueCount; index++) {
      this.#startQueue(index);
    }
  }

  /** Stops every queue, as a pause of the VM does. */
  pause(): void {
    for (let index = 0; index < this.device.queueCount; index++) {
      this.#stopQueue(index);
    }
    this.transport.ready = false;
    this.#regions?.suspend();
  }

  /** A driver starts afresh: stops what runs, resets the device; `start()` follows. */
  reset(): void {
    this.pause();
    this.#regions?.forget();
    this.device.reset();
    this.#newDrivers();
  }

  /** The front-end leaves. */
  detach(): void {
    if (!this.#attached) {
      return;
    }
    this.pause();
    this.#regions?.end();
    this.#regions = null;
    this.#attached = false;
    this.device.detach();
    this.memory.clear();
    this.#newDrivers();
  }

  /** One turn of the loop, whichever driver it has. */
  async turn(): Promise<void> {
    const { loop } = this.#options;
    if (loop.driver === 'blocking') {
      loop.runOnce(TURN_MS);
    } else {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Turns the loop until `met` says true. @throws RangeError after `timeoutMs` */
  async until(met: () => boolean, timeoutMs = DEFAULT_WAIT_MS): Promise<void> {
    const { nowNs } = this.#options.sys.loop;
    const deadline = nowNs() + timeoutMs * NS_PER_MS;
    while (!met()) {
      if (nowNs() > deadline) {
        throw new RangeError(`nothing came within ${timeoutMs} ms`);
      }
      await this.turn();
    }
  }

  /** Sends a chain and waits until it comes back. @returns bytes that the device wrote, and how many it says */
  async request(
    index: number,
    readable: readonly Uint8Array[],
    writable: readonly number[],
  ): Promise<{ written: number; bytes: Uint8Array }> {
    const driver = this.driver(index);
    const head = driver.send(readable, writable);
    let reply = driver.take();
    await this.until(() => {
      reply ??= driver.take();
      return reply !== null;
    });
    if (reply!.head !== head) {
      throw new RangeError(`chain ${reply!.head} came back before ${head}`);
    }
    return { written: reply!.written, bytes: reply!.bytes };
  }

  /** Lets the device go and frees the machine; the device stays the caller's. */
  [Symbol.dispose](): void {
    this.detach();
    this.#offload[Symbol.dispose]();
    this.memory[Symbol.dispose]();
    this.ram[Symbol.dispose]();
    for (const fd of [...this.#kicks, ...this.#calls]) {
      fd.close();
    }
  }

  get #bytesPerQueue(): number {
    return this.#options.bytesPerQueue ?? DEFAULT_BYTES_PER_QUEUE;
  }

  #newDrivers(): void {
    const { sys } = this.#options;
    const size = Math.min(this.#options.queueSize ?? DEFAULT_QUEUE_SIZE, this.device.maxQueueSize);
    this.#states.fill(null);
    this.#drivers = this.#kicks.map(
      (kick, index) =>
        new MockDriver({
          memory: this.ram,
          gpa: this.ram.gpa + index * this.#bytesPerQueue,
          len: this.#bytesPerQueue,
          size,
          packed: this.#options.packed ?? false,
          inOrder: this.#options.inOrder ?? false,
          eventIdx: this.#options.eventIdx ?? true,
          kick: () => sys.loop.eventfdSignal(kick.fd),
        }),
    );
  }

  #startQueue(index: number): void {
    const { sys, loop } = this.#options;
    const driver = this.driver(index);
    const { size } = driver;
    const [desc, avail, used] = [driver.desc, driver.avail, driver.used].map((gpa) => this.ram.userOf(gpa)) as [
      number,
      number,
      number,
    ];
    const state = this.#states[index]!;
    const base = state?.base ?? driver.start;
    const context: RingContext = {
      device: this.device,
      loop,
      eventfd: sys.loop,
      memory: this.memory,
      log: this.#options.log ?? silentLogger,
      logLimit: new RateLimit(() => sys.loop.nowNs()),
      counters: this.counters,
      batch: this.#options.batch ?? 64,
      packed: this.#options.packed ?? false,
      inOrder: this.#options.inOrder ?? false,
      eventIdx: this.#options.eventIdx ?? true,
      indirect: true,
      callFds: this.#callFds,
      ringError: (broken) => this.brokenQueues.push(broken),
    };
    const setup = { index, size, desc, avail, used, base, kickFd: this.#kicks[index]!.fd };
    const ring = new Ring(context, setup, state?.kept ?? []);
    this.device.startQueue(index, ring.queue, base === driver.start && ring.queue.outstanding === 0);
    this.#rings[index] = ring;
    ring.listen();
  }

  #stopQueue(index: number): void {
    const ring = this.#rings[index];
    if (ring === null || ring === undefined) {
      return;
    }
    ring.unlisten();
    this.device.stopQueue(index);
    if (ring.queue.inFlight > 0) {
      throw new RangeError(
        `queue ${index} stopped with ${ring.queue.inFlight} chains that were neither completed, unfetched nor kept`,
      );
    }
    ring.stop();
    this.#states[index] = ring.queue.state;
    this.#rings[index] = null;
    this.counters.fold(ring.queue.stats);
  }
}
