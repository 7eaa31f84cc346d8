/** The virtio-pmem device (VIRTIO 1.3, 5.19), with its memory as shared memory region 0. */
import type { ShmRegion } from '@oriel/shm-region';
import { ECANCELED, errnoName, type Logger, SYS, silentLogger } from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost, RegionDeclaration, VirtioDevice } from '@oriel/virtio-device';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import type { PmemImage } from './image.ts';
import {
  FLUSH_DONE,
  FLUSH_FAILED,
  VIRTIO_ID_PMEM,
  VIRTIO_PMEM_F_SHMEM_REGION,
  VIRTIO_PMEM_REQ_TYPE_FLUSH,
  VIRTIO_PMEM_SHMEM_REGION_ID,
  VirtioPmemConfig,
  VirtioPmemReq,
  VirtioPmemResp,
} from './layout.ts';

/** How long a map waits that could not be sent yet, ms. */
const RETRY_MS = 10;
/** Flushes at a time; each is one fsync(2) in a helper thread. */
const MOST_FLUSHES = 64;

export interface PmemDeviceOptions {
  /** Not owned. */
  readonly image: PmemImage;
  /** Largest ring accepted, a power of two; default 64. */
  readonly queueSize?: number;
  readonly log?: Logger;
}

/** A file of the host as memory of the guest: one mapping, made when the driver starts. */
export class PmemDevice implements VirtioDevice {
  readonly name = 'pmem';
  readonly deviceId = VIRTIO_ID_PMEM;
  readonly features = FeatureSet.of(VIRTIO_PMEM_F_SHMEM_REGION);
  readonly queueCount = 1;
  readonly maxQueueSize: number;
  readonly config = new Uint8Array(VirtioPmemConfig.byteLength);
  readonly shmRegions: readonly RegionDeclaration[];
  readonly #image: PmemImage;
  readonly #log: Logger;
  readonly #request = new Uint8Array(VirtioPmemReq.byteLength);
  readonly #reply = new Uint8Array(VirtioPmemResp.byteLength);
  #host: DeviceHost | null = null;
  #region: ShmRegion | null = null;
  #queue: DeviceQueue | null = null;
  /** 'due': to be asked for; 'asked': no answer yet; 'refused' stays so until the driver resets the device. */
  #mapping: 'due' | 'asked' | 'live' | 'refused' = 'due';
  /** Chains whose flush is under way. */
  readonly #flushing = new Set<Chain>();
  /** Tells the flushes of one life of the device from those of the next. */
  #epoch = 0;

  constructor(options: PmemDeviceOptions) {
    this.#image = options.image;
    this.#log = options.log ?? silentLogger;
    this.maxQueueSize = options.queueSize ?? 64;
    VirtioPmemConfig.size.set(new DataView(this.config.buffer), 0, this.#image.size);
    this.shmRegions = [{ shmid: VIRTIO_PMEM_SHMEM_REGION_ID, size: this.#image.size }];
  }

  /** True when the guest sees the file. */
  get mapped(): boolean {
    return this.#mapping === 'live';
  }

  attach(host: DeviceHost): void {
    this.#host = host;
    this.#region = host.region(VIRTIO_PMEM_SHMEM_REGION_ID);
  }

  startQueue(_index: number, queue: DeviceQueue): void {
    this.#queue = queue;
    this.#map();
  }

  process(_index: number, budget: number): boolean {
    // What the guest stored before the mapping was there is nowhere: it is told so.
    if (this.#mapping === 'due' || this.#mapping === 'asked') return false;
    for (let taken = 0; taken < budget; taken++) {
      if (this.#flushing.size >= MOST_FLUSHES) return false;
      const chain = this.#queue?.next();
      if (!chain) return false;
      this.#flush(chain);
    }
    return true;
  }

  stopQueue(): void {
    // Flushes end by themselves, and soon: one that is done need not be done again.
    if (this.#flushing.size > 0) this.#host?.offload.drain();
    this.#queue = null;
  }

  reset(): void {
    this.#epoch++;
    this.#flushing.clear();
    const region = this.#region;
    // Where the front-end keeps mappings over a reset, this one is still right.
    if (region === null || region.entries().length === 0) this.#mapping = 'due';
  }

  detach(): void {
    this.reset();
    this.#mapping = 'due';
    this.#region = null;
    this.#host = null;
  }

  [Symbol.dispose](): void {
    this.#flushing.clear();
  }

  #map(): void {
    const region = this.#region;
    if (region === null || this.#mapping !== 'due') return;
    this.#mapping = 'asked';
    const epoch = this.#epoch;
    const { fd, size, path } = this.#image;
    const place = { fd, fdOffset: 0, shmOffset: 0, len: size, writable: true };
    region.map({ ...place, owner: this.#image, label: path }, (error) => {
      if (this.#epoch === epoch) this.#answered(error);
    });
  }

  #answered(error: number): void {
    if (error === -ECANCELED) {
      this.#mapping = 'due';
      // Stopped rings ask again when they start; else it was not known yet whether the driver is a new one.
      this.#host?.loop.timer(RETRY_MS, () => {
        if (this.#queue !== null) this.#map();
      });
      return;
    }
    this.#mapping = error === 0 ? 'live' : 'refused';
    if (error !== 0) {
      this.#log.error(
        `pmem: the front-end does not map ${this.#image.path}: ${errnoName(-error)}; every flush will fail`,
      );
    }
    this.#later();
  }

  #flush(chain: Chain): void {
    const read = chain.read(0, this.#request, 0, this.#request.length);
    const type = VirtioPmemReq.type.get(new DataView(this.#request.buffer), 0);
    const good = read === this.#request.length && type === VIRTIO_PMEM_REQ_TYPE_FLUSH && this.#mapping === 'live';
    if (!good || this.#host === null) {
      this.#answer(chain, FLUSH_FAILED);
      return;
    }
    const epoch = this.#epoch;
    const started = this.#host.offload.submit(SYS.fsync, [this.#image.fd], (result) => {
      if (this.#epoch !== epoch) return;
      this.#flushing.delete(chain);
      if (result < 0) this.#log.error(`pmem: fsync of ${this.#image.path}: ${errnoName(-result)}`);
      this.#answer(chain, result < 0 ? FLUSH_FAILED : FLUSH_DONE);
      this.#queue?.flush();
      this.#later();
    });
    if (started) this.#flushing.add(chain);
    else this.#answer(chain, FLUSH_FAILED);
  }

  #answer(chain: Chain, ret: number): void {
    VirtioPmemResp.ret.set(new DataView(this.#reply.buffer), 0, ret);
    const written = chain.write(0, this.#reply, 0, this.#reply.length);
    chain.queue.complete(chain, Math.max(written, 0));
  }

  /** Requests that waited are taken behind the events at hand. */
  #later(): void {
    this.#host?.loop.defer(() => {
      if (this.process(0, this.maxQueueSize)) this.#later();
      this.#queue?.flush();
    });
  }
}
