/** The chain object that a queue fills, lends to the device, and reuses: the one implementation of `Chain`. */
import type { MemoryRegion } from '@oriel/guest-memory';
import { TWO_32 } from '@oriel/layout';
import { E2BIG, EFAULT } from '@oriel/sys';
import { VirtqueueError } from './errors.ts';
import type { Chain, DeviceQueue, DirtyLog, KeptBuffer } from './queue.ts';
import { copyFromRegion, copyToRegion } from './region-copy.ts';

/** In the pool; with the device; back in the avail ring. */
export const CHAIN_FREE = 0;
export const CHAIN_TAKEN = 1;
export const CHAIN_UNFETCHED = 2;

/** A constant of this module's own: the compiler folds it, an imported one it loads and checks each time. */
const HIGH_WORD = TWO_32;

/** u32 words of one struct iovec. */
const IOVEC_WORDS = 4;

/** Made by a queue only. */
export class PooledChain implements Chain {
  head = 0;
  readCount = 0;
  writeCount = 0;
  readBytes = 0;
  writeBytes = 0;
  again = false;
  context: unknown = undefined;
  readonly queue: DeviceQueue;
  /** One of CHAIN_*. */
  state = CHAIN_FREE;
  /** The queue's count of chains taken when this one was: its place in the order. */
  sequence = 0;
  /** Descriptors of the ring that it takes; counted in a packed ring only. */
  slots = 1;
  /** Where each piece lies: region, offset in it, bytes. */
  regions: MemoryRegion[] = [];
  offsets: Float64Array;
  lens: Uint32Array;

  /** @param capacity - pieces that it has room for at first */
  constructor(queue: DeviceQueue, capacity: number) {
    this.queue = queue;
    this.offsets = new Float64Array(capacity);
    this.lens = new Uint32Array(capacity);
  }

  /** Doubles the room for pieces, up to `max`. @returns false when there is no more to be had */
  grow(max: number): boolean {
    const capacity = Math.min(this.lens.length * 2, max);
    if (capacity <= this.lens.length) return false;
    const offsets = new Float64Array(capacity);
    offsets.set(this.offsets);
    this.offsets = offsets;
    const lens = new Uint32Array(capacity);
    lens.set(this.lens);
    this.lens = lens;
    return true;
  }

  read(offset: number, to: Uint8Array, toOffset: number, len: number): number {
    const left = Math.min(len, this.readBytes - offset);
    if (left <= 0) return 0;
    if (toOffset + left > to.length) throw new RangeError(`${left} bytes at ${toOffset} of a ${to.length} byte target`);
    let piece = 0;
    let skip = offset;
    while (skip >= this.lens[piece]!) skip -= this.lens[piece++]!;
    for (let done = 0; done < left; piece++, skip = 0) {
      const part = Math.min(this.lens[piece]! - skip, left - done);
      const result = copyFromRegion(this.regions[piece]!, this.offsets[piece]! + skip, to, toOffset + done, part);
      if (result !== 0) return result;
      done += part;
    }
    return left;
  }

  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number {
    const left = Math.min(len, this.writeBytes - offset);
    if (left <= 0) return 0;
    if (fromOffset + left > from.length) throw new RangeError(`${left} bytes at ${fromOffset} of ${from.length} bytes`);
    let piece = this.readCount;
    let skip = offset;
    while (skip >= this.lens[piece]!) skip -= this.lens[piece++]!;
    for (let done = 0; done < left; piece++, skip = 0) {
      const part = Math.min(this.lens[piece]! - skip, left - done);
      const result = copyToRegion(this.regions[piece]!, this.offsets[piece]! + skip, from, fromOffset + done, part);
      if (result !== 0) return result;
      done += part;
    }
    return left;
  }

  readIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number {
    return this.#iovec(0, offset, Math.min(len, this.readBytes - offset), iov, maxEntries);
  }

  writeIovec(offset: number, len: number, iov: Uint32Array, maxEntries: number): number {
    return this.#iovec(this.readCount, offset, Math.min(len, this.writeBytes - offset), iov, maxEntries);
  }

  /** Where its pieces lie, by guest physical address: for one who reads them again later. */
  buffers(): KeptBuffer[] {
    return Array.from({ length: this.readCount + this.writeCount }, (_, i) => ({
      gpa: this.regions[i]!.gpa + this.offsets[i]!,
      len: this.lens[i]!,
      writable: i >= this.readCount,
    }));
  }

  /** Reports the whole writable part: a call that failed, or was answered with less, may have written any of it. */
  markDirty(log: DirtyLog): void {
    let left = this.writeBytes;
    for (let piece = this.readCount; left > 0; piece++) {
      const len = this.lens[piece]!;
      if (len > 0) log.mark(this.regions[piece]!.gpa + this.offsets[piece]!, len);
      left -= len;
    }
  }

  #iovec(first: number, offset: number, len: number, iov: Uint32Array, maxEntries: number): number {
    if (len <= 0) return 0;
    let piece = first;
    let skip = offset;
    while (skip >= this.lens[piece]!) skip -= this.lens[piece++]!;
    let entries = 0;
    for (let done = 0; done < len; piece++, skip = 0) {
      if (entries === maxEntries) return -E2BIG;
      const base = hostAddress(this.regions[piece]!);
      if (base === 0) return -EFAULT;
      const part = Math.min(this.lens[piece]! - skip, len - done);
      const addr = base + this.offsets[piece]! + skip;
      const word = entries * IOVEC_WORDS;
      iov[word] = addr;
      iov[word + 1] = addr / HIGH_WORD;
      iov[word + 2] = part;
      iov[word + 3] = 0;
      entries++;
      done += part;
    }
    return entries;
  }
}

/** The chain, if it is of `queue`. @throws VirtqueueError ERR_VIRTQ_CHAIN_STATE */
export function ownChain(queue: DeviceQueue, chain: Chain): PooledChain {
  if (chain.queue === queue) return chain as PooledChain;
  throw new VirtqueueError('ERR_VIRTQ_CHAIN_STATE', 'bug', `chain ${chain.head} is not of queue ${queue.index}`);
}

/** The chain, if it is of `queue` and in flight. @throws VirtqueueError ERR_VIRTQ_CHAIN_STATE */
export function chainInFlight(queue: DeviceQueue, chain: Chain): PooledChain {
  const own = ownChain(queue, chain);
  if (own.state === CHAIN_TAKEN) return own;
  const { head } = chain;
  const { index } = queue;
  throw new VirtqueueError('ERR_VIRTQ_CHAIN_STATE', 'bug', `chain ${head} is not in flight`, { queue: index, head });
}

/** The region's host address, or 0 when it is gone or cannot be mapped. */
function hostAddress(region: MemoryRegion): number {
  if (!region.live) return 0;
  if (region.direct) return region.addr;
  try {
    return region.addr;
  } catch {
    return 0;
  }
}
