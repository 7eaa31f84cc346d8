/**
 * The virtual machine: guest memory, a window, queues and the front-end's end of the vhost-user socket, in one thread.
 * Every call waits for its answer by running the loop, and gives up after a limit.
 */
import { BlockingLoop, EBUSY, type Fd, type Sys, silentLogger } from '@oriel/sys';
import { FrontendConnection, VIRTIO_F_VERSION_1 } from '@oriel/vhost-user';
import { VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC } from '@oriel/virtqueue';
import { LoopbackError } from './errors.ts';
import { GuestQueue, type PendingChain } from './guest-queue.ts';
import { GuestRam } from './guest-ram.ts';
import { GuestWindow, WINDOW_GPA } from './guest-window.ts';
import { Machine, type Member } from './machine.ts';
import { holding, MemoryTable, type TableDone, type TableRegion } from './memory-table.ts';
import { connectSocket, type LoopbackOptions, wishes } from './options.ts';
import { PausableLoop } from './pausable-loop.ts';

/** Where the VM stands: rings not started yet, running, stopped with all mappings in place, or ended. */
export type LoopbackState = 'stopped' | 'running' | 'paused' | 'closed';

const DEFAULT_RAM = 16 << 20;
const DEFAULT_QUEUE_SIZE = 128;
const DEFAULT_TIMEOUT_MS = 5000;
const NS_PER_MS = 1e6;

/** Bytes between the windows of a machine's devices. */
const WINDOW_STEP = 0x20_0000_0000;

/** The connection's second watch: the main channel is its first. */
const BACK_CHANNEL = 1;

/** A virtual machine without a machine. */
export class LoopbackVm implements Disposable {
  readonly sys: Sys;
  readonly loop: BlockingLoop;
  readonly ram: GuestRam;
  readonly connection: FrontendConnection;
  /** Queues by index; made by `connect`. */
  readonly queues: GuestQueue[] = [];
  readonly timeoutMs: number;
  readonly #options: LoopbackOptions;
  readonly #channels: PausableLoop;
  readonly #table: MemoryTable;
  readonly #machine: Machine;
  readonly #member: Member;
  readonly #bases: number[] = [];
  /** Mapping requests that came while the rings were stopped, and were refused; QEMU 11.1 dies of one. */
  requestsWhileStopped = 0;
  /** How often the device said that its configuration space changed. */
  configChanges = 0;
  #window: GuestWindow | null = null;
  #state: LoopbackState = 'stopped';
  /** Why the connection ended; '' while it is there. */
  #gone = '';

  private constructor(options: LoopbackOptions, socket: Fd) {
    const { sys, ramSize = DEFAULT_RAM, ramFile = 'sealed' } = options;
    this.#options = options;
    this.sys = sys;
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    using cleanup = new DisposableStack();
    cleanup.use(socket);
    const { beside } = options;
    this.loop = beside?.loop ?? options.loop ?? cleanup.use(new BlockingLoop(sys));
    this.ram = beside?.ram ?? cleanup.use(new GuestRam(sys, { size: ramSize, file: ramFile }));
    this.#channels = new PausableLoop(this.loop);
    this.connection = new FrontendConnection({
      sys,
      loop: this.#channels,
      socket,
      log: options.log ?? silentLogger,
      handlers: {
        shmemMap: (request, fd) => {
          if (this.#state === 'running') return this.window.map(request, fd);
          fd.close();
          return this.#tooLate();
        },
        shmemUnmap: (request) => (this.#state === 'running' ? this.window.unmap(request) : this.#tooLate()),
        configChange: () => {
          this.configChanges++;
        },
        disconnected: (reason) => {
          this.#gone = reason;
        },
      },
    });
    cleanup.move();
    this.#table = new MemoryTable(
      holding(this.connection, () => this.holdBackChannel()),
      options.memorySlots ?? true,
    );
    this.#machine = beside === undefined ? new Machine() : beside.#machine;
    const vm = this;
    this.#member = {
      table: this.#table,
      get told() {
        return vm.#table.regions.length > 0;
      },
      hold: () => this.#channels.pause(BACK_CHANNEL),
    };
    this.#machine.members.push(this.#member);
  }

  /**
   * Connects and negotiates; the rings wait for `start`.
   * @throws SysError when nobody listens; LoopbackError ERR_LOOPBACK_DEVICE, ERR_LOOPBACK_TIMEOUT; VhostUserError
   */
  static connect(options: LoopbackOptions): LoopbackVm {
    const vm = new LoopbackVm(options, connectSocket(options));
    try {
      vm.#negotiate();
    } catch (error) {
      vm[Symbol.dispose]();
      throw error;
    }
    return vm;
  }

  get state(): LoopbackState {
    return this.#state;
  }

  /** Why the back-end is gone, or '' while it is there. */
  get gone(): string {
    return this.#gone;
  }

  /** The device's shared memory region of the lowest shmid. @throws LoopbackError ERR_LOOPBACK_DEVICE when it has none */
  get window(): GuestWindow {
    if (this.#window === null) throw new LoopbackError('ERR_LOOPBACK_DEVICE', 'the device has no shared memory region');
    return this.#window;
  }

  get hasWindow(): boolean {
    return this.#window !== null;
  }

  /** The device's configuration space. */
  config(offset: number, len: number): Uint8Array {
    return this.ask<Uint8Array>((done) => this.connection.getConfig(offset, len, done));
  }

  /** Writes into the device's configuration space. @throws VhostUserError when the device refuses */
  writeConfig(offset: number, bytes: Uint8Array): void {
    this.ask((done) => this.connection.setConfig(offset, bytes, done));
  }

  /** Starts the rings: the driver is ready. Also goes on after `pause`. */
  start(): void {
    this.#expect('stopped', 'paused');
    if (this.#state === 'stopped') this.ask((done) => this.#announceReset(done));
    this.#mainLoopTurn();
    if (this.#table.regions.length === 0) {
      const { gpa, size, userAddr, file } = this.ram;
      this.ask((done) => this.#table.add({ gpa, size, userAddr, mmapOffset: 0, fd: file.dup() }, done));
      this.ask((done) => this.#machine.join(this.#member, done));
    }
    this.#state = 'running';
    for (const queue of this.queues) {
      const base = this.#bases[queue.index]!;
      this.ask((done) => this.connection.startRing({ ...queue.place, base }, done));
    }
  }

  /** Stops the rings and keeps the mappings, as a VM that is paused does. */
  pause(): void {
    this.#expect('running');
    this.#window?.settle();
    this.#state = 'paused';
    for (const { index } of this.queues) {
      this.#bases[index] = this.ask<number>((done) => this.connection.stopRing(index, done));
    }
    this.#mainLoopTurn();
  }

  /** Goes on after `pause`. */
  resume(): void {
    this.#expect('paused');
    this.start();
  }

  /** The driver leaves and resets the device: rings stop and QEMU's window is cleared. The next `start` is a fresh driver's. */
  unload(): void {
    if (this.#state === 'running') this.pause();
    this.#expect('stopped', 'paused');
    if (this.#options.keepsMappings !== true) this.#window?.clear();
    this.#bases.fill(0);
    for (const queue of this.queues) queue.reset();
    this.#state = 'stopped';
  }

  /** The driver resets the device, and a fresh one starts at base 0. */
  reset(): void {
    this.unload();
    this.start();
  }

  /** Ends as a VM that is killed: the socket closes, nothing is said. */
  crash(): void {
    this.#close();
  }

  /** Runs the loop until `met` is true. @throws LoopbackError ERR_LOOPBACK_GONE, ERR_LOOPBACK_TIMEOUT */
  until(met: () => boolean, timeoutMs = this.timeoutMs, what = 'an answer'): void {
    const deadline = this.sys.loop.nowNs() + timeoutMs * NS_PER_MS;
    while (!met()) {
      if (this.#gone !== '')
        throw new LoopbackError('ERR_LOOPBACK_GONE', `the back-end is gone (${this.#gone}) instead of ${what}`);
      const leftMs = Math.ceil((deadline - this.sys.loop.nowNs()) / NS_PER_MS);
      if (leftMs <= 0) throw new LoopbackError('ERR_LOOPBACK_TIMEOUT', `no ${what} within ${timeoutMs} ms`);
      this.loop.runOnce(leftMs);
    }
  }

  /** Waits until the device returns a chain. @returns what it wrote */
  await(queue: GuestQueue, chain: PendingChain, timeoutMs = this.timeoutMs, what = 'an answer'): Uint8Array {
    this.until(() => chain.done, timeoutMs, what);
    return queue.take(chain);
  }

  /**
   * Asks the back-end on the main channel and waits for its answer; meanwhile the back channel is not served, as in QEMU.
   * @throws VhostUserError when it refuses
   */
  ask<T = void>(start: (done: (error: Error | null, value?: T) => void) => void): T {
    const outcome: { over: boolean; error: Error | null; value: T | undefined } = {
      over: false,
      error: null,
      value: undefined,
    };
    const serveAgain = this.holdBackChannel();
    start((error, value) => {
      outcome.over = true;
      outcome.error = error;
      outcome.value = value;
    });
    try {
      this.until(() => outcome.over);
    } finally {
      serveAgain();
    }
    if (outcome.error !== null) throw outcome.error;
    return outcome.value as T;
  }

  /** Leaves the requests of the machine's back-ends unread until the returned function is called. */
  holdBackChannel(): () => void {
    return this.#machine.hold();
  }

  /** Ends in order: rings stop, then the socket closes. */
  [Symbol.dispose](): void {
    try {
      if (this.#state === 'running' && this.#gone === '') this.pause();
    } finally {
      this.#close();
    }
  }

  #close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    for (const queue of this.queues) queue[Symbol.dispose]();
    this.#window?.[Symbol.dispose]();
    this.#machine.leave(this.#member);
    this.#table[Symbol.dispose]();
    this.connection[Symbol.dispose]();
    const { beside, loop } = this.#options;
    if (beside === undefined) this.ram[Symbol.dispose]();
    if (beside === undefined && loop === undefined) this.loop[Symbol.dispose]();
    this.#gone ||= 'this VM was ended';
  }

  /** Between two acts of the guest QEMU serves what has come meanwhile: requests that the back-end sent before it stopped. */
  #mainLoopTurn(): void {
    this.loop.runOnce(0);
  }

  /** The memory table changes at the start behind a reset, not at the reset. */
  #announceReset(done: (error: null) => void): void {
    if (this.#window === null) done(null);
    else this.#window.announceReset(() => done(null));
  }

  #tooLate(): number {
    this.requestsWhileStopped++;
    return -EBUSY;
  }

  #expect(...states: LoopbackState[]): void {
    if (this.#gone !== '') throw new LoopbackError('ERR_LOOPBACK_GONE', this.#gone);
    if (!states.includes(this.#state)) throw new RangeError(`the VM is ${this.#state}, wanted ${states.join(' or ')}`);
  }

  #negotiate(): void {
    const { queueSize = DEFAULT_QUEUE_SIZE, log = silentLogger, sys } = this.#options;
    this.ask((done) => this.connection.negotiate(wishes(this.#options), done));
    const accepted = this.connection.features;
    if (!accepted.has(VIRTIO_F_VERSION_1)) {
      throw new LoopbackError('ERR_LOOPBACK_DEVICE', `the device offers no VIRTIO_F_VERSION_1: ${accepted}`);
    }
    const eventIdx = accepted.has(VIRTIO_RING_F_EVENT_IDX);
    const indirect = accepted.has(VIRTIO_RING_F_INDIRECT_DESC);
    for (let index = 0; index < this.connection.queueCount; index++) {
      const options = { index, size: queueSize, eventIdx, indirect };
      this.queues.push(new GuestQueue(sys, this.loop, this.ram, options));
      this.#bases.push(0);
    }
    const region = this.connection.shmRegions[0];
    if (region !== undefined) {
      const gpa = WINDOW_GPA + this.#machine.members.indexOf(this.#member) * WINDOW_STEP;
      this.#window = new GuestWindow(sys, this.loop, this.#windowTable(), { ...region, gpa, log });
    }
  }

  /** All devices of the machine hear of a mapping. */
  #windowTable() {
    return {
      has: (region: TableRegion) => this.#table.regions.includes(region),
      add: (region: TableRegion, done: TableDone) => this.#machine.announce(this.#member, region, done),
      remove: (region: TableRegion, done: TableDone) => this.#machine.withdraw(this.#member, region, done),
    };
  }
}
