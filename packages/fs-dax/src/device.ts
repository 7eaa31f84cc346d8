/** The virtio-fs device (VIRTIO 1.3, 5.11): FUSE sessions over rings, and the DAX window as shared memory region 0. */
import { type Filesystem, FuseSession, type Operation, type SessionStats } from '@oriel/fuse';
import { EINTR, type Fd, type Logger, silentLogger } from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost, VirtioDevice } from '@oriel/virtio-device';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import { encodeConfig } from './config.ts';
import type { GuardStats } from './dax/guard.ts';
import { rangeJournalBytes } from './dax/range-journal.ts';
import type { DaxWindow } from './dax/window.ts';
import { putInterrupted } from './interrupted.ts';
import { stateBytesOf } from './journal-size.ts';
import { KeptChains, keptBytes } from './kept-chains.ts';
import { DAX_RANGE, VIRTIO_FS_SHMCAP_ID_CACHE, VIRTIO_ID_FS } from './layout.ts';
import { DeviceMigration } from './migration/device-migration.ts';
import { openWindow, windowHooks } from './open-window.ts';
import { checkSizes, type FsDeviceOptions } from './options.ts';
import { StopPatience } from './stop-patience.ts';

/** Requests in flight at most, whatever the rings hold: each has memory of its own. */
const MOST_OPERATIONS = 4096;

const NO_GUARD: GuardStats = { allowed: 0, yielded: 0, refused: 0, unasked: 0 };

/** Figures of a device. */
export interface FsStats extends SessionStats {
  /** Inodes of which the window keeps something. */
  readonly daxInodes: number;
  /** Truncations by others of files that the guest has mapped. */
  readonly guard: GuardStats;
}

export class FsDevice implements VirtioDevice {
  readonly name = 'fs';
  readonly deviceId = VIRTIO_ID_FS;
  readonly features = new FeatureSet();
  readonly queueCount: number;
  readonly maxQueueSize: number;
  readonly config: Uint8Array;
  readonly shmRegions: readonly { readonly shmid: number; readonly size: number }[];
  readonly stateBytes?: number;
  /** Only without a window, whose mappings cannot move, and with a file system whose sessions can. */
  readonly saveState?: (to: Fd, done: (ok: boolean) => void) => void;
  readonly loadState?: (from: Fd, done: (ok: boolean) => void) => void;
  readonly #places: number;
  readonly #session: FuseSession;
  readonly #window: DaxWindow | null;
  readonly #log: Logger;
  readonly #fs: Filesystem;
  readonly #queues: (DeviceQueue | null)[];
  readonly #kept: KeptChains;
  readonly #patience: StopPatience;
  /** Queues that the driver uses. */
  readonly #used = new Set<number>();
  /** Queues that hold chains which no free operation could take. */
  readonly #starved = new Set<number>();
  #host: DeviceHost | null = null;
  /** The queue inside `process`: its completions are announced at the end. */
  #batch: DeviceQueue | null = null;
  #deferred = false;
  /** The journal of this connection was opened. */
  #journaled = false;
  readonly #migration: DeviceMigration | null = null;

  /** @throws FsDaxError when an option is out of range, or the crash record cannot be opened */
  constructor(options: FsDeviceOptions) {
    const { sys, fs, tag, windowSize = 0, numRequestQueues = 1, queueSize = 1024, log = silentLogger } = options;
    this.config = encodeConfig(tag, numRequestQueues);
    checkSizes(queueSize, windowSize);
    this.#log = log;
    this.#fs = fs;
    this.#patience = new StopPatience(sys.loop);
    this.queueCount = numRequestQueues + 1;
    this.maxQueueSize = queueSize;
    this.#queues = new Array<DeviceQueue | null>(this.queueCount).fill(null);
    this.#kept = new KeptChains(this.queueCount, queueSize);
    this.#places = this.queueCount * queueSize;
    const stateBytes = options.survive === true ? stateBytesOf(options, this.queueCount, queueSize, log) : 0;
    if (stateBytes > 0) this.stateBytes = stateBytes;
    this.shmRegions = windowSize > 0 ? [{ shmid: VIRTIO_FS_SHMCAP_ID_CACHE, size: windowSize }] : [];
    const window = windowSize > 0 ? openWindow(options, windowSize, log) : null;
    this.#window = window;
    this.#session = new FuseSession({
      sys,
      fs,
      log,
      finish: (message, written) => this.#finish(message as Chain, written),
      maxOperations: Math.min(this.queueCount * queueSize, MOST_OPERATIONS),
      readdirplus: options.readdirplus ?? true,
      ...(window === null ? {} : { hooks: windowHooks(window), invalidation: 'explicit' as const }),
    });
    window?.bind(this.#session, () => this.#stopping);
    if (window === null && fs.migration !== undefined) {
      const migration = new DeviceMigration(this.#session, fs.migration, log);
      this.#migration = migration;
      this.saveState = (to, done) => migration.save(this.#host!, to, done);
      this.loadState = (from, done) => this.#load(migration, from, done);
    }
  }

  get stats(): FsStats {
    return {
      ...this.#session.stats,
      daxInodes: this.#window?.inodeCount ?? 0,
      guard: this.#window?.guardStats ?? NO_GUARD,
    };
  }

  /** @throws FsDaxError ERR_FSDAX_WINDOW when the full window could need more mappings than the front-end bears; ERR_FSDAX_GUARD */
  attach(host: DeviceHost): void {
    this.#window?.attach(host.region(VIRTIO_FS_SHMCAP_ID_CACHE), host.loop, host.frontend);
    this.#host = host;
  }

  /** @returns false when the session of the process before is lost */
  restore(): boolean {
    this.#openJournal();
    if (this.#journaled && this.#session.restore()) {
      if (this.#session.initialised) this.#window?.restore();
      return true;
    }
    this.reset();
    return false;
  }

  startQueue(index: number, queue: DeviceQueue, fresh: boolean): void {
    this.#openJournal();
    this.#queues[index] = queue;
    this.#kept.start(queue, fresh);
    this.#used.add(index);
    this.#patience.renew();
    this.#window?.restart();
  }

  process(index: number, budget: number): boolean {
    const queue = this.#queues[index];
    if (!queue) return false;
    this.#batch = queue;
    try {
      return this.#take(queue, budget);
    } finally {
      this.#batch = null;
      queue.flush();
    }
  }

  stopQueue(index: number): void {
    const queue = this.#queues[index];
    if (!queue) return;
    // Work in helper threads ends by itself and touches guest memory until then.
    if (this.#session.inFlight > 0) this.#host?.offload.drain();
    // What else is under way touches memory of its own: waiting for it only spares the driver an interrupted request.
    if (this.#operationsOf(queue).length > 0) this.#patience.spend((ms) => this.#fs.settle?.(ms));
    const waiting = this.#operationsOf(queue);
    // First what is done: un-fetching a chain takes those behind it along.
    const locks = waiting.filter((op) => !this.#window?.repeatable(op) && !this.#answer(queue, op));
    for (const op of locks) {
      this.#giveBack(queue, op);
      op.complete(-EINTR);
    }
    for (const op of waiting) {
      if (!this.#window?.repeatable(op)) continue;
      this.#giveBack(queue, op);
      this.#window.abandoned(op);
    }
    this.#kept.stop(queue);
    queue.flush();
    this.#queues[index] = null;
    this.#starved.delete(index);
  }

  reset(): void {
    this.#migration?.stop();
    if (this.#journaled) {
      // What stands there is the next process's, or was cleared.
      this.#journaled = false;
      if (this.#window !== null) this.#window.journal = null;
      this.#session.closeJournal();
    }
    this.#kept.useState(null);
    this.#used.clear();
    this.#session.reset();
    this.#window?.forgetAll();
  }

  detach(): void {
    this.reset();
    this.#window?.detach();
    this.#host = null;
  }

  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
    this.#window?.[Symbol.dispose]();
  }

  #load(migration: DeviceMigration, from: Fd, done: (ok: boolean) => void): void {
    this.#openJournal();
    migration.load(this.#host!, from, (ok) => {
      if (!ok) {
        // Out of the journal too, before it is closed.
        this.#fs.destroy();
        this.reset();
      }
      done(ok);
    });
  }

  /** Keeps what another process needs, from before the first request on. */
  #openJournal(): void {
    const state = this.#host?.state ?? null;
    if (state === null || this.#journaled) return;
    const keptAt = state.bytes.length - keptBytes(this.queueCount, this.maxQueueSize);
    const windowAt = keptAt - rangeJournalBytes(this.#windowRanges);
    const failed = this.#session.openJournal({
      bytes: state.bytes.subarray(0, windowAt),
      store: state,
      places: this.#places,
      placeOf: (message) => this.#placeOf(message as Chain),
      again: (message) => (message as Chain).again || this.#kept.again,
    });
    if (failed < 0) {
      this.#log.error('the session ends with this process: no journal can be kept', { errno: -failed });
      return;
    }
    this.#journaled = true;
    if (this.#window !== null) this.#window.journal = state.bytes.subarray(windowAt, keptAt);
    this.#kept.useState(state.bytes.subarray(keptAt));
  }

  /** Drivers name chains by numbers below the size of the ring, also where they need not: others have no place. */
  #placeOf({ queue, head }: Chain): number {
    return head < this.maxQueueSize ? queue.index * this.maxQueueSize + head : -1;
  }

  get #windowRanges(): number {
    return (this.shmRegions[0]?.size ?? 0) / DAX_RANGE;
  }

  /** Some queues run and others do not: the rest is about to follow, one way or the other. */
  get #stopping(): boolean {
    for (const index of this.#used) if (this.#queues[index] === null) return true;
    return false;
  }

  /** @returns true when more is left than the budget allowed */
  #take(queue: DeviceQueue, budget: number): boolean {
    for (let taken = 0; taken < budget; taken++) {
      if (!this.#session.ready) {
        this.#starved.add(queue.index);
        return false;
      }
      const kept = this.#kept.waiting ? this.#kept.next(queue) : null;
      const chain = kept ?? queue.next();
      if (chain === null) return false;
      this.#session.handle(chain);
      if (kept !== null) this.#kept.handled();
    }
    return true;
  }

  #operationsOf(queue: DeviceQueue): Operation[] {
    return this.#session.operations().filter((op) => this.#chainOf(op).queue === queue);
  }

  #chainOf(op: Operation): Chain {
    return this.#session.messageOf(op) as Chain;
  }

  /** A request that waits, and of which nothing was done, is taken once more at the next start. */
  #giveBack(queue: DeviceQueue, op: Operation): void {
    const chain = this.#chainOf(op);
    if (!queue.unfetch(chain)) this.#kept.keep(queue, chain, op.intent?.again === true);
    this.#session.abandon(op);
  }

  /** @returns false for a lock that is waited for no more, and is to be asked for again */
  #answer(queue: DeviceQueue, op: Operation): boolean {
    if (this.#window?.answerAtStop(op)) return true;
    if (this.#fs.cancel?.(op)) return false;
    // A Filesystem that works with timers or Promises: it may have done the request in part, so that is not repeated.
    const chain = this.#chainOf(op);
    this.#session.abandon(op);
    queue.complete(chain, putInterrupted(chain));
    return true;
  }

  #finish(chain: Chain, written: number): void {
    const { queue } = chain;
    queue.complete(chain, written);
    if (this.#window?.waiting) this.#later();
    if (this.#batch === queue) return;
    queue.flush();
    if (this.#starved.size > 0) this.#later();
  }

  /** What waited for the end of a request goes on behind the events at hand. */
  #later(): void {
    if (this.#deferred || this.#host === null) return;
    this.#deferred = true;
    this.#host.loop.defer(() => {
      this.#deferred = false;
      this.#window?.retry();
      const starved = [...this.#starved];
      this.#starved.clear();
      for (const index of starved) {
        if (!this.process(index, this.maxQueueSize)) continue;
        this.#starved.add(index);
        this.#later();
      }
    });
  }
}
