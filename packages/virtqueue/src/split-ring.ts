/**
 * A split ring found in guest memory: checked addresses, and the views that the queue works on.
 *
 * Order of memory (VIRTIO 1.3, 2.7.13 and 2.7.14), for both ring formats and both sides, on x86-64 and on arm64: the words
 * by which one side hands something to the other (avail.idx and used.idx, the flags of a packed descriptor) and those of the
 * suppression of kicks and calls are touched by `Atomics` only; all else of a ring and of its buffers, by plain access.
 * - `Atomics.load` and `Atomics.store` are sequentially consistent on any typed array, of shared memory or not, and V8's
 *   compilers move no other access over them, in either direction. On arm64 they are `ldar` and `stlr`: an `ldar` is not passed by
 *   any access behind it, so descriptors are read after the index that tells of them; a `stlr` passes no access before
 *   it, so a used element, and what the device wrote into buffers (by plain stores, or by a system call that returned), is
 *   there before the index that tells of it. On x86-64 each load and store is as strong by itself.
 * - Store, then load of another word (avail_event, then avail.idx; used.idx, then used_event) needs a full barrier. It is one:
 *   an `ldar` is not performed before an earlier `stlr` of the same thread, and on x86-64 the store is an `xchg`.
 *   The peer must have a barrier between its own two, as it does.
 * - Plain accesses give no order on arm64, and need none: each lies between an `ldar` that allowed it and a `stlr` that
 *   tells of it. They are never torn where it matters: each is one aligned word or less, and the driver does not write
 *   what it handed over. One that does is hostile, and each word is read once, checked, and used as it was read.
 */
import type { GuestMemory } from '@oriel/guest-memory';
import { VirtqUsed, VRING_AVAIL_ALIGN_SIZE, VRING_DESC_ALIGN_SIZE, VRING_USED_ALIGN_SIZE } from './layout.ts';
import type { SplitQueueConfig } from './queue.ts';
import { locatePart } from './ring-part.ts';
import { ringBytes } from './ring-size.ts';

/** Views over exactly the ring's parts, so that no index can leave them. */
export interface SplitRing {
  /** The descriptor table: four words a descriptor (addr low, addr high, len, flags | next << 16). */
  readonly desc: Uint32Array;
  /** flags, idx, `size` heads, used_event (with EVENT_IDX). */
  readonly avail: Uint16Array;
  /** flags, idx, the elements, avail_event (with EVENT_IDX). */
  readonly used: Uint16Array;
  /** The used elements: two words each (id, len). */
  readonly usedElems: Uint32Array;
  /** Guest physical address and bytes of the used ring. */
  readonly usedGpa: number;
  readonly usedBytes: number;
}

/** Index of flags and idx in `avail` and `used`. */
export const RING_FLAGS = 0;
export const RING_IDX = 1;
/** Index of the first head in `avail`. */
export const AVAIL_HEADS = 2;

/** Index of used_event in `avail`. */
export function usedEventAt(size: number): number {
  return AVAIL_HEADS + size;
}

/** Index of avail_event in `used`. */
export function availEventAt(size: number): number {
  return 2 + 4 * size;
}

/**
 * Finds a ring in guest memory.
 * @throws VirtqueueError ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY
 */
export function bindSplitRing(memory: GuestMemory, config: SplitQueueConfig): SplitRing {
  const { size } = config;
  const bytes = ringBytes(size, config.eventIdx);
  const desc = locatePart(memory, config, 'desc', VRING_DESC_ALIGN_SIZE, bytes.desc);
  const avail = locatePart(memory, config, 'avail', VRING_AVAIL_ALIGN_SIZE, bytes.avail);
  const used = locatePart(memory, config, 'used', VRING_USED_ALIGN_SIZE, bytes.used);
  const { buffer } = used;
  return {
    desc: new Uint32Array(desc.buffer, desc.offset, size * 4),
    avail: new Uint16Array(avail.buffer, avail.offset, bytes.avail / 2),
    used: new Uint16Array(buffer, used.offset, bytes.used / 2),
    usedElems: new Uint32Array(buffer, used.offset + VirtqUsed.byteLength, size * 2),
    usedGpa: used.gpa,
    usedBytes: bytes.used,
  };
}
