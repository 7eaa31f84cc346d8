/** A packed ring found in guest memory, and places in it: an index, and the wrap counter that tells one lap from the next. */
import type { GuestMemory } from '@oriel/guest-memory';
import { VRING_DESC_ALIGN_SIZE, VRING_PACKED_EVENT_ALIGN_SIZE } from './layout.ts';
import type { PackedQueueConfig } from './queue.ts';
import { locatePart } from './ring-part.ts';

/** Where a new packed ring starts: both indexes 0, both wrap counters 1. */
export const PACKED_RING_START = 0x8000_8000;

/** Views over exactly the ring's parts, so that no index can leave them. */
export interface PackedRing {
  /** The descriptor ring: four words a descriptor (addr low, addr high, len, id | flags << 16). */
  readonly desc: Uint32Array;
  /** Event suppression of the driver and of the device: off_wrap | flags << 16. */
  readonly driver: Uint32Array;
  readonly device: Uint32Array;
  /** Guest physical addresses of what the device writes: the descriptor ring, and its own area. */
  readonly descGpa: number;
  readonly deviceGpa: number;
}

/**
 * Finds a ring in guest memory.
 * @throws VirtqueueError ERR_VIRTQ_ALIGN, ERR_VIRTQ_ADDRESS, ERR_VIRTQ_MEMORY
 */
export function bindPackedRing(memory: GuestMemory, config: PackedQueueConfig): PackedRing {
  const desc = locatePart(memory, config, 'desc', VRING_DESC_ALIGN_SIZE, config.size * 16);
  const driver = locatePart(memory, config, 'avail', VRING_PACKED_EVENT_ALIGN_SIZE, 4);
  const device = locatePart(memory, config, 'used', VRING_PACKED_EVENT_ALIGN_SIZE, 4);
  return {
    desc: new Uint32Array(desc.buffer, desc.offset, config.size * 4),
    driver: new Uint32Array(driver.buffer, driver.offset, 1),
    device: new Uint32Array(device.buffer, device.offset, 1),
    descGpa: desc.gpa,
    deviceGpa: device.gpa,
  };
}

/**
 * Index and wrap counter (bit 15) as one number of 0 to 2 * size - 1: how far it is from where the ring started, modulo two
 * laps. -1 for an index that is not in the ring.
 */
export function lapPosition(offWrap: number, size: number): number {
  const index = offWrap & 0x7fff;
  if (index >= size) return -1;
  return (offWrap & 0x8000) !== 0 ? index : index + size;
}

/** Descriptors from one position to another, modulo two laps. */
export function lapDistance(from: number, to: number, size: number): number {
  return to >= from ? to - from : to - from + 2 * size;
}

/** True when the event stands among the `count` descriptors before `now` (VIRTIO 1.3, 2.8.10). */
export function eventPassed(offWrap: number, now: number, count: number, size: number): boolean {
  const event = lapPosition(offWrap, size);
  // Garbage, or more than a lap: saying too much is harmless.
  if (event < 0 || count >= size) return true;
  const ago = lapDistance(event, now, size);
  return ago >= 1 && ago <= count;
}

/** Descriptors that a driver waits for at this base; -1 when it is none of a ring of `size` entries. */
export function slotsBetween(base: number, size: number): number {
  if (!Number.isInteger(base) || base < 0 || base > 0xffff_ffff) return -1;
  const avail = lapPosition(base & 0xffff, size);
  const used = lapPosition(base >>> 16, size);
  if (avail < 0 || used < 0) return -1;
  const slots = lapDistance(used, avail, size);
  return slots <= size ? slots : -1;
}
