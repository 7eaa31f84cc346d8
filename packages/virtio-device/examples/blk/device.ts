/**
 * A block device (VIRTIO 1.3, 5.2) over a file: read, write, flush, discard, get-id, on several queues. Data goes between
 * the page cache and guest memory without a copy of ours. What would wait for the disk is done by a helper thread.
 */
import {
  EOPNOTSUPP,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  RWF_DSYNC,
  RWF_NOWAIT,
  SYS,
  type Sys,
} from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost, VirtioDevice } from '@oriel/virtio-device';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';
import type { Image } from './image.ts';
import { type Job, Jobs, MOST_PIECES } from './jobs.ts';
import * as blk from './layout.ts';

const { VIRTIO_BLK_S_OK: OK, VIRTIO_BLK_S_IOERR: IOERR, VIRTIO_BLK_S_UNSUPP: UNSUPP } = blk;
const HEADER = blk.VirtioBlkOuthdr.byteLength;
const SEG_MAX = 126;
/** 2 GiB. */
const MAX_DISCARD_SECTORS = 1 << 22;

export interface BlkOptions {
  readonly sys: Sys;
  /** Not owned. */
  readonly image: Image;
  /** Default 2. */
  readonly queues?: number;
  /** What GET_ID answers: at most 20 bytes of ASCII; default `oriel`. */
  readonly id?: string;
}

/** A disk. */
export class BlkDevice implements VirtioDevice {
  readonly name = 'blk';
  readonly deviceId = blk.VIRTIO_ID_BLOCK;
  readonly features: FeatureSet;
  readonly queueCount: number;
  readonly maxQueueSize = 256;
  readonly config = new Uint8Array(blk.VirtioBlkConfig.byteLength);
  readonly #image: Image;
  readonly #id = new Uint8Array(blk.VIRTIO_BLK_ID_BYTES);
  readonly #jobs: Jobs;
  readonly #queues: (DeviceQueue | null)[] = [];
  /** Queues that wait for a free job. */
  readonly #starved: boolean[] = [];
  readonly #header = new Uint8Array(HEADER + blk.VirtioBlkDiscard.byteLength);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #status = new Uint8Array(1);
  #host: DeviceHost | null = null;
  /** The driver does not flush: each write is to be on the disk when it is answered. */
  #writeThrough = false;
  /** What the first, immediate try of a transfer asks for; -1: the file system cannot tell what is cached. */
  #readNow = RWF_NOWAIT;
  #writeNow = RWF_NOWAIT;

  constructor({ sys, image, queues = 2, id = 'oriel' }: BlkOptions) {
    this.#image = image;
    this.queueCount = queues;
    this.#queues = new Array(queues).fill(null);
    this.#starved = new Array(queues).fill(false);
    new TextEncoder().encodeInto(id, this.#id);
    const offered = [blk.VIRTIO_BLK_F_SEG_MAX, blk.VIRTIO_BLK_F_BLK_SIZE, blk.VIRTIO_BLK_F_FLUSH, blk.VIRTIO_BLK_F_MQ];
    this.features = FeatureSet.of(...offered, image.readOnly ? blk.VIRTIO_BLK_F_RO : blk.VIRTIO_BLK_F_DISCARD);
    const view = new DataView(this.config.buffer);
    blk.VirtioBlkConfig.capacity.set(view, 0, image.sectors);
    blk.VirtioBlkConfig.segMax.set(view, 0, SEG_MAX);
    blk.VirtioBlkConfig.blkSize.set(view, 0, blk.SECTOR);
    blk.VirtioBlkConfig.numQueues.set(view, 0, queues);
    blk.VirtioBlkConfig.maxDiscardSectors.set(view, 0, MAX_DISCARD_SECTORS);
    blk.VirtioBlkConfig.maxDiscardSeg.set(view, 0, 1);
    blk.VirtioBlkConfig.discardSectorAlignment.set(view, 0, 1);
    this.#jobs = new Jobs(sys, (job, result) => this.#finish(job, result));
  }

  attach(host: DeviceHost): void {
    this.#host = host;
    this.#jobs.use(host.offload);
  }

  setFeatures(features: FeatureSet): void {
    this.#writeThrough = !features.has(blk.VIRTIO_BLK_F_FLUSH);
  }

  startQueue(index: number, queue: DeviceQueue): void {
    this.#queues[index] = queue;
  }

  process(index: number, budget: number): boolean {
    const queue = this.#queues[index]!;
    for (let taken = 0; taken < budget; taken++) {
      if (this.#jobs.busy) {
        this.#starved[index] = true;
        return false;
      }
      const chain = queue.next();
      if (chain === null) {
        return false;
      }
      this.#serve(chain);
    }
    return true;
  }

  stopQueue(index: number): void {
    // Helpers end by themselves, and soon: what they do is not done twice.
    this.#jobs.drain();
    this.#queues[index] = null;
    this.#starved[index] = false;
  }

  reset(): void {}

  detach(): void {
    this.#host = null;
    this.#jobs.use(null);
  }

  [Symbol.dispose](): void {
    this.#jobs[Symbol.dispose]();
  }

  #serve(chain: Chain): void {
    const read = chain.read(0, this.#header, 0, HEADER);
    if (read !== HEADER || chain.writeBytes < 1) {
      this.#answer(chain, IOERR);
      return;
    }
    const sector = blk.VirtioBlkOuthdr.sector.get(this.#headerView, 0);
    switch (blk.VirtioBlkOuthdr.type.get(this.#headerView, 0)) {
      case blk.VIRTIO_BLK_T_IN:
        this.#transfer(chain, false, sector, chain.writeBytes - 1);
        break;
      case blk.VIRTIO_BLK_T_OUT:
        this.#transfer(chain, true, sector, chain.readBytes - HEADER);
        break;
      case blk.VIRTIO_BLK_T_FLUSH:
        this.#flush(chain);
        break;
      case blk.VIRTIO_BLK_T_DISCARD:
        this.#discard(chain);
        break;
      case blk.VIRTIO_BLK_T_GET_ID:
        this.#answer(chain, this.#writeId(chain) ? OK : IOERR);
        break;
      default:
        this.#answer(chain, UNSUPP);
    }
  }

  /** @param sector - as the driver gave it: above 2^53 it is refused like any that lies behind the end */
  #inside(sector: number, sectors: number): boolean {
    return sector <= this.#image.sectors && sectors <= this.#image.sectors - sector;
  }

  #transfer(chain: Chain, write: boolean, sector: number, len: number): void {
    if (len % blk.SECTOR !== 0 || !this.#inside(sector, len / blk.SECTOR) || (write && this.#image.readOnly)) {
      this.#answer(chain, IOERR);
      return;
    }
    if (len === 0) {
      this.#answer(chain, OK);
      return;
    }
    const job = this.#jobs.take(chain);
    const pieces = write
      ? chain.readIovec(HEADER, len, job.iov, MOST_PIECES)
      : chain.writeIovec(0, len, job.iov, MOST_PIECES);
    if (pieces < 0) {
      this.#answer(this.#jobs.release(job), IOERR);
      return;
    }
    const offset = sector * blk.SECTOR;
    if (this.#now(job, write, len, pieces, offset)) {
      this.#answer(this.#jobs.release(job), OK);
      return;
    }
    job.wanted = len;
    const { args } = job;
    args[0] = this.#image.fd;
    args[1] = job.addr;
    args[2] = pieces;
    // preadv2 and pwritev2 take the offset in two words; on 64-bit hosts the first holds all of it.
    args[3] = offset;
    args[4] = 0;
    args[5] = write && this.#writeThrough ? RWF_DSYNC : 0;
    this.#start(job, write ? SYS.pwritev2 : SYS.preadv2);
  }

  /** Tries what the page cache can do at once. @returns true when all is done; else nothing counts as done */
  #now(job: Job, write: boolean, len: number, pieces: number, offset: number): boolean {
    const flags = write ? this.#writeNow : this.#readNow;
    if (flags < 0 || (write && this.#writeThrough)) {
      return false;
    }
    const result = this.#jobs.transfer(job, write, this.#image.fd, pieces, offset, flags);
    if (result !== -EOPNOTSUPP) {
      return result === len;
    }
    if (!write) {
      this.#readNow = -1;
      return false;
    }
    // ext4 does not know NOWAIT for writes: the page cache takes them, as a rule at once.
    this.#writeNow = 0;
    return this.#now(job, write, len, pieces, offset);
  }

  #flush(chain: Chain): void {
    const job = this.#jobs.take(chain);
    job.wanted = 0;
    job.args.fill(0);
    job.args[0] = this.#image.fd;
    this.#start(job, SYS.fdatasync);
  }

  #discard(chain: Chain): void {
    const len = chain.readBytes - HEADER;
    const range = blk.VirtioBlkDiscard;
    if (len > range.byteLength) {
      // Several ranges: the configuration says one.
      this.#answer(chain, UNSUPP);
      return;
    }
    const read = chain.read(HEADER, this.#header, HEADER, range.byteLength);
    if (this.#image.readOnly || read !== range.byteLength) {
      this.#answer(chain, IOERR);
      return;
    }
    const sector = range.sector.get(this.#headerView, HEADER);
    const sectors = range.numSectors.get(this.#headerView, HEADER);
    if (range.flags.get(this.#headerView, HEADER) !== 0) {
      this.#answer(chain, UNSUPP);
    } else if (sectors > MAX_DISCARD_SECTORS || !this.#inside(sector, sectors)) {
      this.#answer(chain, IOERR);
    } else if (sectors === 0) {
      this.#answer(chain, OK);
    } else {
      const job = this.#jobs.take(chain);
      job.wanted = 0;
      job.args.fill(0);
      job.args[0] = this.#image.fd;
      job.args[1] = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
      job.args[2] = sector * blk.SECTOR;
      job.args[3] = sectors * blk.SECTOR;
      this.#start(job, SYS.fallocate);
    }
  }

  #writeId(chain: Chain): boolean {
    const len = Math.min(chain.writeBytes - 1, this.#id.length);
    return chain.write(0, this.#id, 0, len) === len;
  }

  #start(job: Job, nr: number): void {
    while (!this.#jobs.submit(job, nr)) {
      // Other devices keep the helpers busy, which is no fault of this request: wait for them.
      this.#host?.offload.drain();
    }
  }

  #finish(job: Job, result: number): void {
    const { wanted } = job;
    const chain = this.#jobs.release(job);
    const { queue } = chain;
    this.#answer(chain, result === wanted ? OK : result === -EOPNOTSUPP ? UNSUPP : IOERR);
    queue.flush();
    if (this.#starved.includes(true)) {
      this.#host?.loop.defer(this.#feed);
    }
  }

  readonly #feed = (): void => {
    for (let index = 0; index < this.queueCount; index++) {
      const queue = this.#queues[index];
      if (this.#starved[index] && queue !== null) {
        this.#starved[index] = false;
        if (this.process(index, this.maxQueueSize)) {
          this.#starved[index] = true;
          this.#host?.loop.defer(this.#feed);
        }
        queue?.flush();
      }
    }
  };

  /** The status stands in the last writable byte. */
  #answer(chain: Chain, status: number): void {
    const last = chain.writeBytes - 1;
    this.#status[0] = status;
    const told = last >= 0 && chain.write(last, this.#status, 0, 1) === 1;
    // `written` counts from the first byte: where data is missing in front of the status, nothing is promised.
    chain.queue.complete(chain, told && (status === OK || last === 0) ? chain.writeBytes : 0);
  }
}
