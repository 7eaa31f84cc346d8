/**
 * A clock of our own invention, with a shared memory region: a page that the guest reads without asking (region 0), and a
 * queue on which it waits for the next tick. Each request has at least 8 writable bytes and is answered at the next tick, by its
 * number.
 */
import { struct, U32, U64 } from '@oriel/layout';
import {
  check,
  ECANCELED,
  errnoName,
  F_SEAL_GROW,
  F_SEAL_SHRINK,
  Fd,
  type LoopTimer,
  Mapping,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  PROT_READ,
  PROT_WRITE,
  type Sys,
} from '@oriel/sys';
import { FeatureSet } from '@oriel/vhost-user';
import type { DeviceHost, VirtioDevice } from '@oriel/virtio-device';
import type { Chain, DeviceQueue } from '@oriel/virtqueue';

/**
 * "Signal distribution device" in VIRTIO's list: reserved, and no driver knows it. A number of our own would do too, but QEMU
 * 11.1 aborts at ids that it has no name for.
 */
export const VIRTIO_ID_CLOCK = 21;
export const CLOCK_SHMID = 0;

/**
 * The page. `seq` is odd while the rest changes: read it, read the rest, read it again, and once more where it is odd or
 * another. Ticks count from 1; time is that of the host since 1970.
 */
export const ClockPage = struct('clock_page', { seq: U32, periodMs: U32, ticks: U64, seconds: U64, nanoseconds: U32 });
/** `struct clock_config`: the period, ms. */
export const ClockConfig = struct('clock_config', { periodMs: U32 });
/** The answer to a request: the tick that ended it. */
export const ClockReply = struct('clock_reply', { ticks: U64 });

/** How long a map waits that could not be sent yet, ms. */
const RETRY_MS = 10;

export interface ClockOptions {
  readonly sys: Sys;
  /** Default 10. */
  readonly periodMs?: number;
}

/** Ticks while its queue runs. */
export class ClockDevice implements VirtioDevice {
  readonly name = 'clock';
  readonly deviceId = VIRTIO_ID_CLOCK;
  readonly features = new FeatureSet();
  readonly queueCount = 1;
  readonly maxQueueSize = 64;
  readonly config = new Uint8Array(ClockConfig.byteLength);
  readonly shmRegions: readonly { shmid: number; size: number }[];
  readonly #periodMs: number;
  readonly #file: Fd;
  readonly #page: Mapping;
  readonly #view: DataView;
  readonly #seq: Uint32Array;
  readonly #reply = new Uint8Array(ClockReply.byteLength);
  readonly #replyView = new DataView(this.#reply.buffer);
  /** Chains that wait for the next tick. */
  readonly #waiting: Chain[] = [];
  #ticks = 0;
  #host: DeviceHost | null = null;
  #queue: DeviceQueue | null = null;
  #timer: LoopTimer | null = null;
  #asked = false;

  constructor({ sys, periodMs = 10 }: ClockOptions) {
    const size = sys.mem.pageSize;
    this.#periodMs = periodMs;
    this.shmRegions = [{ shmid: CLOCK_SHMID, size }];
    this.#file = new Fd(sys.fd, check(sys.mem.memfdCreate('clock', MFD_CLOEXEC | MFD_ALLOW_SEALING), 'memfd_create'));
    check(sys.file.ftruncate(this.#file.fd, size), 'ftruncate');
    check(sys.mem.addSeals(this.#file.fd, F_SEAL_SHRINK | F_SEAL_GROW), 'fcntl');
    this.#page = Mapping.shared(sys.mem, this.#file.fd, size, 0, PROT_READ | PROT_WRITE);
    this.#view = new DataView(this.#page.u8.buffer);
    this.#seq = new Uint32Array(this.#page.u8.buffer, ClockPage.seq.offset, 1);
    ClockPage.periodMs.set(this.#view, 0, periodMs);
    ClockConfig.periodMs.set(new DataView(this.config.buffer), 0, periodMs);
  }

  attach(host: DeviceHost): void {
    this.#host = host;
  }

  startQueue(_index: number, queue: DeviceQueue): void {
    this.#queue = queue;
    this.#map();
    this.#arm();
  }

  process(_index: number, budget: number): boolean {
    for (let taken = 0; taken < budget; taken++) {
      const chain = this.#queue?.next();
      if (!chain) return false;
      this.#waiting.push(chain);
    }
    return true;
  }

  stopQueue(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    // None of them was completed out of turn: all go back into the avail ring, and are taken again after the pause.
    // Only a broken ring does not take them.
    for (const chain of this.#waiting) if (!chain.queue.unfetch(chain)) chain.queue.complete(chain, 0);
    this.#waiting.length = 0;
    this.#queue = null;
  }

  reset(): void {
    this.#ticks = 0;
  }

  detach(): void {
    this.#host = null;
    this.#asked = false;
  }

  [Symbol.dispose](): void {
    this.#page[Symbol.dispose]();
    this.#file.close();
  }

  /** Puts the page into the guest, unless it is there: some front-ends keep it over a reset. */
  #map(): void {
    const region = this.#host?.region(CLOCK_SHMID);
    if (region === undefined || this.#asked || region.entries().length > 0) return;
    this.#asked = true;
    const place = { fd: this.#file.fd, fdOffset: 0, shmOffset: 0, len: region.size };
    region.map({ ...place, writable: false, owner: this, label: 'clock' }, (error) => {
      this.#asked = false;
      // The rings stopped, or it is not known yet whether a new driver came: ask again while a queue runs.
      if (error === -ECANCELED) this.#host?.loop.timer(RETRY_MS, () => this.#queue && this.#map());
      else if (error !== 0) this.#host?.log.error(`clock: the page is not mapped: ${errnoName(-error)}`);
    });
  }

  #arm(): void {
    this.#timer = this.#host!.loop.timer(this.#periodMs, () => {
      this.#tick();
      this.#arm();
    });
  }

  #tick(): void {
    const now = performance.timeOrigin + performance.now();
    const seconds = Math.floor(now / 1000);
    this.#ticks++;
    // The guest may be able to write the page: nothing in it is read back.
    Atomics.store(this.#seq, 0, 2 * this.#ticks - 1);
    ClockPage.ticks.set(this.#view, 0, this.#ticks);
    ClockPage.seconds.set(this.#view, 0, seconds);
    ClockPage.nanoseconds.set(this.#view, 0, Math.floor((now - seconds * 1000) * 1e6));
    Atomics.store(this.#seq, 0, 2 * this.#ticks);
    ClockReply.ticks.set(this.#replyView, 0, this.#ticks);
    for (const chain of this.#waiting) {
      const written = chain.write(0, this.#reply, 0, this.#reply.length);
      chain.queue.complete(chain, Math.max(written, 0));
    }
    this.#waiting.length = 0;
    this.#queue?.flush();
  }
}
