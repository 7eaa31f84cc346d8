/** The device of the soak `rings`: takes chains, keeps them, gives them back, and holds the queue to its promises. */
import { E2BIG, EFAULT } from '@oriel/sys';
import { type Chain, SplitQueue, type SplitQueueConfig, VirtqueueError } from '@oriel/virtqueue';
import { must, same } from '../errors.ts';
import type { Xorshift } from '../random.ts';
import type { Tally } from '../soak.ts';
import { type HostileMemory, RAM_GPA } from './hostile-memory.ts';

/** `SplitQueue` gives a ring up after so many bad chains in one call. */
const MOST_REPORTS = 4097;
/** Longer than this, one call is a hang. */
const MOST_MS = 5000;
const IOVEC_WORDS = 4;
const MOST_ENTRIES = 64;
const SCRATCH = 512;

/** One queue after the other over the same ring. */
export class RingDevice {
  readonly #random: Xorshift;
  readonly #tally: Tally;
  readonly #stage: HostileMemory;
  readonly #scratch = new Uint8Array(SCRATCH);
  readonly #iov = new Uint32Array(MOST_ENTRIES * IOVEC_WORDS);
  /** In the order in which they were taken. */
  readonly #kept: Chain[] = [];
  readonly #haunted: boolean;
  /** The driver also writes while the device is in the middle of a call. */
  #meddles = false;
  #queue!: SplitQueue;
  #errors: VirtqueueError[] = [];
  /** What used.idx should be after a completion. */
  #usedIdx = 0;

  /** @param haunted - another thread writes into the ring meanwhile, so that its bytes say nothing */
  constructor(random: Xorshift, tally: Tally, stage: HostileMemory, haunted: boolean) {
    this.#haunted = haunted;
    this.#random = random;
    this.#tally = tally;
    this.#stage = stage;
    this.restart();
  }

  /** The queue can do nothing any more. */
  get broken(): boolean {
    return !this.#queue.healthy;
  }

  /** Chains that an honest driver could still offer. */
  get room(): number {
    const offered = (this.#stage.availIdx - this.#queue.base) & 0xffff;
    return this.#stage.place.size - offered - this.#queue.inFlight;
  }

  /** A driver that resets, or goes on after a pause: another queue over the same ring. */
  restart(): void {
    const random = this.#random;
    const { place, memory, ram } = this.#stage;
    const { generation } = memory;
    if (memory.findUser(ram.userAddr, ram.size) === null) this.#stage.restore();
    must(memory.generation >= generation, 'the generation of the memory never goes back');
    this.#meddles = this.#haunted || random.once(4);
    this.#errors = [];
    this.#kept.length = 0;
    const base = random.once(8) ? random.u32() & 0xffff : this.#stage.availIdx;
    if (!random.once(8)) this.#stage.availIdx = base;
    const user = (at: number): number => ram.userAddr + at;
    const config: SplitQueueConfig = {
      index: 3,
      size: place.size,
      desc: user(place.desc),
      avail: user(place.avail),
      used: user(place.used),
      addressSpace: 'user',
      base,
      eventIdx: random.once(2),
      indirect: !random.once(4),
      maxPieces: random.pick([1, 2, 5, 64, 1088]),
      callBatch: random.pick([1, 3, 8]),
      call: () => this.#meddle(),
      onError: (error) => {
        this.#errors.push(error);
        this.#tally.saw(error.code);
        this.#meddle();
      },
    };
    if (random.once(20)) this.#misplace(config);
    this.#queue = new SplitQueue(memory, config);
    this.#usedIdx = this.#stage.usedIdx;
  }

  /** Takes a chain, if there is one. */
  take(): void {
    this.#tally.did('take');
    const { badChains } = this.#queue.stats;
    const wasHealthy = this.#queue.healthy;
    const errorsBefore = this.#errors.length;
    const chain = this.#guarded(() => this.#queue.next());
    const reports = this.#errors.length - errorsBefore;
    must(reports <= MOST_REPORTS, `${reports} reports in one call`);
    this.#usedIdx = (this.#usedIdx + this.#queue.stats.badChains - badChains) & 0xffff;
    this.#checkVerdict();
    if (chain === null) {
      if (!wasHealthy) must(reports === 0, 'a broken ring is reported once');
      return;
    }
    must(!this.#kept.includes(chain) && this.#kept.every((one) => one.head !== chain.head), 'a chain twice in flight');
    this.#tally.saw('chain');
    this.#kept.push(chain);
    same('inFlight', this.#queue.inFlight, this.#kept.length);
    must(chain.readBytes + chain.writeBytes <= 2 ** 32, 'a chain over 4 GiB');
  }

  /** Returns a chain, in any order. */
  complete(): void {
    if (this.#kept.length === 0) return;
    this.#tally.did('complete');
    const random = this.#random;
    const [chain] = this.#kept.splice(random.below(this.#kept.length), 1) as [Chain];
    const { head, writeBytes } = chain;
    const written = random.pick([0, writeBytes, Math.floor(writeBytes / 2)]);
    const { completed } = this.#queue.stats;
    const at = this.#usedIdx;
    this.#guarded(() => this.#queue.complete(chain, written));
    if (this.#queue.stats.completed === completed) {
      must(!this.#queue.healthy, 'a completion that was not published');
    } else {
      this.#usedIdx = (at + 1) & 0xffff;
      if (!this.#meddles) this.#checkUsed(at, head, written);
    }
    same('inFlight', this.#queue.inFlight, this.#kept.length);
    this.#checkVerdict();
  }

  /** Reads and writes what a chain holds. */
  touch(): void {
    if (this.#kept.length === 0) return;
    this.#tally.did('touch');
    const random = this.#random;
    const chain = random.pick(this.#kept);
    const offset = random.below(400);
    const len = random.below(SCRATCH + 1);
    const want = (room: number): number => Math.max(0, Math.min(len, room - offset));
    this.#expectCount(chain.read(offset, this.#scratch, 0, len), want(chain.readBytes));
    this.#expectEntries(chain.readIovec(offset, len, this.#iov, MOST_ENTRIES), want(chain.readBytes));
    this.#expectEntries(chain.writeIovec(offset, len, this.#iov, MOST_ENTRIES), want(chain.writeBytes));
    // Buffers may overlap the ring: that is the driver's own harm, and changes what the ring says.
    this.#expectCount(chain.write(offset, this.#scratch, 0, len), want(chain.writeBytes));
  }

  flush(): void {
    this.#tally.did('flush');
    this.#guarded(() => this.#queue.flush());
    this.#checkVerdict();
  }

  /** Gives a chain and all behind it back. */
  unfetch(): void {
    if (this.#kept.length === 0) return;
    this.#tally.did('unfetch');
    const at = this.#random.below(this.#kept.length);
    const { base } = this.#queue;
    const back = this.#guarded(() => this.#queue.unfetch(this.#kept[at]!));
    if (!back) return;
    this.#tally.saw('unfetched');
    const given = this.#kept.splice(at).length;
    same('base', this.#queue.base, (base - given) & 0xffff);
    same('inFlight', this.#queue.inFlight, this.#kept.length);
  }

  rebind(): void {
    this.#tally.did('rebind');
    try {
      this.#queue.rebind();
    } catch (error) {
      if (!(error instanceof VirtqueueError)) throw error;
      this.#tally.saw(error.code);
      same('blame', error.blame, 'frontend');
      must(!this.#queue.healthy, 'a queue without a ring is broken');
    }
  }

  /** Ends the queue with some chains still out, and looks that it is dead. */
  stop(): void {
    this.#tally.did('stop');
    const queue = this.#queue;
    this.#guarded(() => queue.stop());
    const before = this.#haunted ? null : Buffer.from(this.#stage.ram.u8);
    for (const chain of this.#kept.splice(0)) queue.complete(chain, 0);
    queue.flush();
    queue.stop();
    same('next of a stopped queue', queue.next(), null);
    same('hasWork of a stopped queue', queue.hasWork, false);
    same('inFlight of a stopped queue', queue.inFlight, 0);
    must(before?.equals(this.#stage.ram.u8) !== false, 'a stopped queue writes nothing');
    this.restart();
  }

  /** Runs a call of the queue: it throws nothing, takes no time, and writes nowhere but into the used ring. */
  #guarded<T>(call: () => T): T {
    const { ram } = this.#stage;
    const before = this.#meddles ? null : Buffer.from(ram.u8);
    const start = performance.now();
    const result = call();
    must(performance.now() - start < MOST_MS, 'a call took longer than any may');
    if (before !== null && !before.equals(ram.u8)) {
      for (let at = 0; at < before.length; at++) {
        if (before[at] !== ram.u8[at]) must(this.#stage.isUsedRing(at), `byte ${at} of the RAM was written`);
      }
    }
    return result;
  }

  /** A ring that is not healthy was reported with its reason, once; one that is, never. */
  #checkVerdict(): void {
    const reasons = this.#errors.filter(({ code }) => code !== 'ERR_VIRTQ_BUFFER' || !this.#queue.healthy);
    for (const { blame } of this.#errors) must(blame === 'driver' || blame === 'frontend', `blame ${blame}`);
    if (this.#queue.healthy) must(reasons.length === 0, `healthy after ${reasons.map(({ code }) => code)}`);
    else same('hasWork of a broken queue', this.#queue.hasWork, false);
  }

  #checkUsed(at: number, head: number, written: number): void {
    const { place, ram, usedIdx } = this.#stage;
    same('used.idx', usedIdx, this.#usedIdx);
    const elem = place.used + 4 + 8 * (at & (place.size - 1));
    same('used id', ram.view.getUint32(elem, true), head);
    same('used len', ram.view.getUint32(elem + 4, true), written >>> 0);
  }

  #expectCount(got: number, wanted: number): void {
    if (got === -EFAULT) this.#tally.saw('gone');
    else same('bytes copied', got, wanted);
  }

  /** Every entry lies in a region that is there, and they add up. */
  #expectEntries(entries: number, wanted: number): void {
    if (entries === -EFAULT || entries === -E2BIG) return;
    const { regions } = this.#stage.memory;
    let sum = 0;
    for (let entry = 0; entry < entries; entry++) {
      const [lo, hi, len] = this.#iov.subarray(entry * IOVEC_WORDS);
      const addr = lo! + hi! * 2 ** 32;
      must(
        regions.some((one) => addr >= one.addr && addr + len! <= one.addr + one.size),
        'an address outside memory',
      );
      sum += len!;
    }
    same('bytes in the iovec', sum, wanted);
  }

  #meddle(): void {
    if (!this.#meddles) return;
    for (let i = this.#random.below(3); i > 0; i--) {
      if (this.#random.once(2)) this.#stage.scribble();
      else this.#stage.offer();
    }
  }

  /** A front-end that puts the ring where it cannot be: refused by its code. */
  #misplace(config: SplitQueueConfig): void {
    const random = this.#random;
    const part = random.pick(['desc', 'avail', 'used'] as const);
    const wrong = random.pick([config[part] + 1, RAM_GPA, 0, config[part] + 0x1_0000 * random.from(1, 4), 2 ** 53 - 1]);
    try {
      new SplitQueue(this.#stage.memory, { ...config, [part]: wrong });
      this.#tally.saw('misplaced');
    } catch (error) {
      if (!(error instanceof VirtqueueError)) throw error;
      same('blame', error.blame, 'frontend');
      this.#tally.saw(error.code);
    }
  }
}
