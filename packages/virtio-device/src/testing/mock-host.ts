/** Runs a device with no VM and no socket: guest memory, rings, drivers and a front-end's regions, all in this process. */
import { GuestMemory } from '@oriel/guest-memory';
import { TestMemory } from '@oriel/guest-memory/testing';
import type { BackendRegion, RegionLimits } from '@oriel/shm-region';
import { check, Fd, type HelperThreads, silentLogger } from '@oriel/sys';
import { profiles } from '@oriel/vhost-user';
import { ConnectionHost } from '../connection-host.ts';
import type { Counters } from '../counters.ts';
import { checkDefinition } from '../definition.ts';
import type { VirtioDevice } from '../device.ts';
import { DeviceRegions } from '../device-regions.ts';
import { LazyOffload } from '../lazy-offload.ts';
import type { MockDriver } from './mock-driver.ts';
import { MockQueues } from './mock-queues.ts';
import { MockRings, type MockRingsOptions } from './mock-rings.ts';
import { MockState } from './mock-state.ts';
import { TimedTransport } from './timed-transport.ts';

/** How a `MockHost` is set up. */
export interface MockHostOptions extends MockRingsOptions {
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
  /** The front-end shares in-flight areas, and a device may be killed: see `kill`; default false. */
  readonly survive?: boolean;
  /** Limits of the regions; default: those of the strict profile. */
  readonly limits?: RegionLimits;
}

const DEFAULT_QUEUE_SIZE = 64;
const DEFAULT_BYTES_PER_QUEUE = 1024 * 1024;
const DEFAULT_WAIT_MS = 5000;
const TURN_MS = 5;
const NS_PER_MS = 1e6;

/** A machine around a device, driven by a test. */
export class MockHost implements Disposable {
  readonly ram: TestMemory;
  readonly memory: GuestMemory;
  /** The front-end's answers for all regions. */
  readonly transport: TimedTransport;
  readonly #options: MockHostOptions;
  readonly #offload: LazyOffload;
  #regions: DeviceRegions | null = null;
  readonly #queues: MockQueues;
  readonly #rings: MockRings;
  #device: VirtioDevice;
  #state: MockState | null;
  /** A ring has started since a device was attached. */
  #begun = false;
  #attached = false;
  /** How often the device announced a change of its configuration space. */
  configChanges = 0;

  /** Makes the machine; the device is attached by `attach()`. @throws DeviceError ERR_DEVICE_DEFINITION */
  constructor(device: VirtioDevice, options: MockHostOptions) {
    const { sys, loop } = options;
    checkDefinition(device, profiles.strict);
    this.#device = device;
    this.#options = options;
    this.#offload = new LazyOffload(sys, loop, options.offload);
    this.transport = new TimedTransport(loop);
    const { bytesPerQueue = DEFAULT_BYTES_PER_QUEUE, queueSize = DEFAULT_QUEUE_SIZE, survive = false } = options;
    this.ram = new TestMemory(sys, { size: device.queueCount * bytesPerQueue });
    this.memory = new GuestMemory(sys, { needs: (file) => this.#device.needsMemory?.(file) ?? true });
    this.#queues = new MockQueues({
      sys,
      ram: this.ram,
      count: device.queueCount,
      size: Math.min(queueSize, device.maxQueueSize),
      bytesPerQueue,
      packed: options.packed ?? false,
      inOrder: options.inOrder ?? false,
      eventIdx: options.eventIdx ?? true,
      inflight: survive,
    });
    this.#rings = new MockRings(options, this.memory, this.#queues, device);
    this.#state = MockState.of(sys, device, survive);
  }

  /** The device that is in the machine now. */
  get device(): VirtioDevice {
    return this.#device;
  }

  /** True while the rings run. */
  get running(): boolean {
    return this.#rings.running;
  }

  /** What the queues of all devices counted. */
  get counters(): Counters {
    return this.#rings.counters;
  }

  /** Queues that the device broke off with an error of the ring. */
  get brokenQueues(): readonly number[] {
    return this.#rings.broken;
  }

  /** The driver's end of a queue. */
  driver(index: number): MockDriver {
    return this.#queues.drivers[index]!;
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
    return this.#queues.calls(index);
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
    this.device.attach(
      new ConnectionHost({
        sys,
        loop,
        log,
        memory: this.memory,
        regions: this.#regions.byId,
        offload: this.#offload,
        state: this.#state?.session ?? null,
        configChanged: () => {
          this.configChanges++;
        },
      }),
    );
    this.#attached = true;
    this.#begun = false;
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
      this.#rings.stop(index);
    }
    this.transport.ready = false;
    this.#regions?.suspend();
  }

  /** A driver starts afresh: stops what runs, resets the device; `start()` follows. */
  reset(): void {
    this.pause();
    this.#regions?.forget();
    this.#state?.session.clear();
    this.device.reset();
    this.#newDrivers();
  }

  /**
   * The device's process is killed, with `survive`: nothing that it does reaches the machine any more. Another device takes
   * its place, with the state and the rings as they were; `attach()` and `start()` follow.
   */
  kill(next: VirtioDevice): void {
    // Its helpers' system calls would die with it; here they end first.
    this.#offload.drain();
    this.#rings.abandon();
    this.transport.ready = false;
    // Before the end of the regions, of which a killed process does not hear.
    const left = this.#state;
    this.#state = left?.copy() ?? null;
    this.#regions?.end();
    this.#regions = null;
    this.#attached = false;
    this.#device.detach();
    left?.[Symbol.dispose]();
    this.memory.clear();
    this.#device = next;
    this.#rings.replace(next);
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
    await this.until(() => (reply ??= driver.take()) !== null);
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
    this.#state?.[Symbol.dispose]();
    this.#queues[Symbol.dispose]();
  }

  #newDrivers(): void {
    this.#rings.forget();
    this.#queues.renew();
  }

  #startQueue(index: number): void {
    this.#rings.start(index, (known) => {
      if (!this.#begun) {
        this.#begun = true;
        this.#state?.session.begin(this.device, known);
      }
    });
  }
}
