/** The virtio-fs device (VIRTIO 1.3, 5.11): FUSE sessions over rings, and the DAX window as shared memory region 0. */
import { createHash } from 'node:crypto';
import {
  type Filesystem,
  FUSE_HAS_INODE_DAX,
  FUSE_MAP_ALIGNMENT,
  FuseSession,
  type Operation,
  type SessionHooks,
} from '@oriel/fuse';
import { TWO_32 } from '@oriel/layout';
import { type Logger, type Sys, silentLogger } from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost, VirtioDevice } from '@oriel/virtio-device';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import { encodeConfig } from './config.ts';
import { GrowRecord } from './dax/grow-record.ts';
import type { GrowthStep } from './dax/growth.ts';
import { type DaxOptions, DEFAULT_DAX_MIN_SIZE } from './dax/options.ts';
import { repairGrown } from './dax/repair.ts';
import { DaxWindow } from './dax/window.ts';
import { FsDaxError } from './errors.ts';
import { DAX_RANGE, DAX_RANGE_SHIFT, VIRTIO_FS_SHMCAP_ID_CACHE, VIRTIO_ID_FS } from './layout.ts';

/** The flag's bit in the upper word of the INIT flags. */
const HAS_INODE_DAX_HI = FUSE_HAS_INODE_DAX / TWO_32;

export interface FsDeviceOptions {
  readonly sys: Sys;
  /** Served; not owned: the caller disposes it after the device. */
  readonly fs: Filesystem;
  /** What the guest mounts, 1 to 36 bytes. */
  readonly tag: string;
  /** Bytes, a multiple of 2 MiB; 0 (the default): no window. */
  readonly windowSize?: number;
  readonly dax?: DaxOptions;
  /** The directory served, to repair files that a killed process left grown. */
  readonly sharedDir?: string;
  /** Default 1. */
  readonly numRequestQueues?: number;
  /** Largest ring accepted, a power of two; default 1024. */
  readonly queueSize?: number;
  /** False: no READDIRPLUS. */
  readonly readdirplus?: boolean;
  readonly log?: Logger;
  /** For tests that end the process at a step of a growth. */
  readonly onGrowthStep?: (step: GrowthStep) => void;
}

export class FsDevice implements VirtioDevice {
  readonly name = 'fs';
  readonly deviceId = VIRTIO_ID_FS;
  readonly features = new FeatureSet();
  readonly queueCount: number;
  readonly maxQueueSize: number;
  readonly config: Uint8Array;
  readonly shmRegions: readonly { readonly shmid: number; readonly size: number }[];
  readonly #session: FuseSession;
  readonly #window: DaxWindow | null;
  readonly #queues: (DeviceQueue | null)[];
  /** Queues that hold chains which no free operation could take. */
  readonly #starved = new Set<number>();
  #host: DeviceHost | null = null;
  /** Inside `process`: completions are announced at its end. */
  #batching = false;

  /** @throws FsDaxError when an option is out of range, or the crash record cannot be opened */
  constructor(options: FsDeviceOptions) {
    const { sys, fs, tag, windowSize = 0, numRequestQueues = 1, queueSize = 1024, log = silentLogger } = options;
    this.config = encodeConfig(tag, numRequestQueues);
    if (!Number.isInteger(Math.log2(queueSize)) || queueSize < 8 || queueSize > 32768) {
      throw new FsDaxError('ERR_FSDAX_OPTION', `queue size ${queueSize}; give a power of two from 8 to 32768`);
    }
    if (windowSize < 0 || windowSize % DAX_RANGE !== 0 || !Number.isSafeInteger(windowSize)) {
      throw new FsDaxError(
        'ERR_FSDAX_WINDOW',
        `a window of ${windowSize} bytes; give a multiple of 2 MiB, or 0 for none`,
      );
    }
    this.queueCount = numRequestQueues + 1;
    this.maxQueueSize = queueSize;
    this.#queues = new Array<DeviceQueue | null>(this.queueCount).fill(null);
    this.shmRegions = windowSize > 0 ? [{ shmid: VIRTIO_FS_SHMCAP_ID_CACHE, size: windowSize }] : [];
    this.#window = windowSize > 0 ? openWindow(options, windowSize, log) : null;
    this.#session = new FuseSession({
      sys,
      fs,
      log,
      finish: (message, written) => this.#finish(message as Chain, written),
      maxOperations: Math.min(this.queueCount * queueSize, 4096),
      ...(options.readdirplus === undefined ? {} : { readdirplus: options.readdirplus }),
      ...(this.#window === null ? {} : { hooks: windowHooks(this.#window), invalidation: 'explicit' as const }),
    });
    this.#window?.bind(this.#session);
  }

  /** Requests, errors and malformed messages since the start. */
  get stats(): FuseSession['stats'] {
    return this.#session.stats;
  }

  attach(host: DeviceHost): void {
    this.#host = host;
    this.#window?.attach(host.region(VIRTIO_FS_SHMCAP_ID_CACHE));
  }

  startQueue(index: number, queue: DeviceQueue): void {
    this.#queues[index] = queue;
  }

  process(index: number, budget: number): boolean {
    const queue = this.#queues[index];
    if (!queue) return false;
    this.#batching = true;
    let more = true;
    for (let taken = 0; taken < budget; taken++) {
      if (!this.#session.ready) {
        this.#starved.add(index);
        more = false;
        break;
      }
      const chain = queue.next();
      if (chain === null) {
        more = false;
        break;
      }
      this.#session.handle(chain);
    }
    this.#batching = false;
    queue.flush();
    return more;
  }

  stopQueue(index: number): void {
    const queue = this.#queues[index];
    if (!queue) return;
    // Work in helper threads ends by itself and touches guest memory until then.
    this.#host?.offload.drain();
    const waiting = this.#session.operations().filter((op) => this.#chainOf(op).queue === queue);
    // First what is done: un-fetching a chain takes those behind it along.
    for (const op of waiting) if (!this.#window?.repeatable(op)) this.#window?.answerAtStop(op);
    for (const op of waiting) if (this.#window?.repeatable(op)) this.#giveBack(queue, op);
    queue.flush();
    this.#queues[index] = null;
    this.#starved.delete(index);
  }

  reset(): void {
    this.#session.reset();
    this.#window?.forgetAll();
  }

  detach(): void {
    this.reset();
    this.#host = null;
  }

  [Symbol.dispose](): void {
    this.#session[Symbol.dispose]();
    this.#window?.[Symbol.dispose]();
  }

  #chainOf(op: Operation): Chain {
    return this.#session.messageOf(op) as Chain;
  }

  /** A mapping request that waits is fetched again after a pause, or else to be tried again by the guest. */
  #giveBack(queue: DeviceQueue, op: Operation): void {
    if (queue.unfetch(this.#chainOf(op))) this.#session.abandon(op);
    else this.#window?.answerAtStop(op);
  }

  #finish(chain: Chain, written: number): void {
    const { queue } = chain;
    queue.complete(chain, written);
    if (this.#batching) return;
    queue.flush();
    if (this.#starved.size === 0) return;
    const starved = [...this.#starved];
    this.#starved.clear();
    this.#host?.loop.defer(() => {
      for (const index of starved) if (this.process(index, this.maxQueueSize)) this.#starved.add(index);
    });
  }
}

function openWindow(options: FsDeviceOptions, windowSize: number, log: Logger): DaxWindow {
  const { sys, fs, dax = {}, sharedDir } = options;
  const { tail = 'refuse', minSize = DEFAULT_DAX_MIN_SIZE, stateDir } = dax;
  if (tail === 'grow' && stateDir === undefined) {
    throw new FsDaxError('ERR_FSDAX_OPTION', "the tail mode 'grow' needs a state directory for its crash record");
  }
  let record: GrowRecord | null = null;
  if (stateDir !== undefined && sharedDir !== undefined) {
    record = GrowRecord.open(sys, stateDir, shareKey(sharedDir), (file) => repairGrown(sys, sharedDir, file, log));
  }
  if (tail === 'copy') {
    log.warn(
      'dax-tail copy: the last range of a file is a private copy, not coherent with the host until it is written back',
    );
  }
  const { onGrowthStep } = options;
  return new DaxWindow({
    sys,
    fs,
    log,
    windowSize,
    tail,
    minSize,
    record,
    ...(onGrowthStep ? { onStep: onGrowthStep } : {}),
  });
}

/** A share's name in file names. */
function shareKey(sharedDir: string): string {
  return createHash('sha256').update(sharedDir).digest('hex').slice(0, 16);
}

function windowHooks(window: DaxWindow): SessionHooks {
  return {
    initFlagsLo: FUSE_MAP_ALIGNMENT,
    initFlagsHi: HAS_INODE_DAX_HI,
    mapAlignment: DAX_RANGE_SHIFT,
    initialised: (lo, hi) => {
      const aligned = (lo & FUSE_MAP_ALIGNMENT) !== 0;
      window.setMode(!aligned ? 'none' : (hi & HAS_INODE_DAX_HI) !== 0 ? 'inode' : 'always');
    },
    dropMappings: (done) => window.dropAll(done),
    setupMapping: (op, nodeid, foffset, len, _flags, moffset) => window.setup(op, nodeid, foffset, len, moffset),
    removeMapping: (op, _nodeid, count, moffsets, lens) => window.remove(op, count, moffsets, lens),
    attributes: (nodeid, attr, inDirectory) => window.attributes(nodeid, attr, inDirectory),
    hold: (op) => window.hold(op),
    beforeReply: (op) => window.beforeReply(op),
    forgotten: (nodeid) => window.forgotten(nodeid),
  };
}
