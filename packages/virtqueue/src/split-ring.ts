/** A split ring found in guest memory: checked addresses, and the views that the queue works on. */
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
  };
}
