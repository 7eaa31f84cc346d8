/** How long the parts of a ring are, and where they stand when laid out together. */
import {
  DescStatePacked,
  DescStateSplit,
  QueueRegionPacked,
  QueueRegionSplit,
  VIRTQUEUE_MAX_SIZE,
  VirtqAvail,
  VirtqDesc,
  VirtqPackedDesc,
  VirtqPackedEvent,
  VirtqUsed,
  VirtqUsedElem,
  VRING_USED_ALIGN_SIZE,
} from './layout.ts';

/** used_event and avail_event, each a u16 behind its ring. */
const EVENT_BYTES = 2;

/** True for a power of two from 1 to 32768 (VIRTIO 1.3, 2.7). */
export function isRingSize(size: number): boolean {
  return Number.isInteger(size) && size >= 1 && size <= VIRTQUEUE_MAX_SIZE && (size & (size - 1)) === 0;
}

/** Bytes of each part for `size` entries; the event fields count only with EVENT_IDX. */
export function ringBytes(size: number, eventIdx: boolean): { desc: number; avail: number; used: number } {
  const event = eventIdx ? EVENT_BYTES : 0;
  return {
    desc: VirtqDesc.byteLength * size,
    avail: VirtqAvail.byteLength + 2 * size + event,
    used: VirtqUsed.byteLength + VirtqUsedElem.byteLength * size + event,
  };
}

/**
 * Offsets of a split ring's parts for `size` entries, event fields included, and the bytes in all, for a start aligned
 * to 16 (VIRTIO 1.3, 2.7).
 * @throws RangeError when `size` is not a power of two from 1 to 32768
 */
export function layoutSplitRing(size: number): { desc: number; avail: number; used: number; total: number } {
  if (!isRingSize(size)) throw new RangeError(`ring size ${size}, want a power of two from 1 to ${VIRTQUEUE_MAX_SIZE}`);
  const bytes = ringBytes(size, true);
  const avail = bytes.desc;
  const used = Math.ceil((avail + bytes.avail) / VRING_USED_ALIGN_SIZE) * VRING_USED_ALIGN_SIZE;
  return { desc: 0, avail, used, total: used + bytes.used };
}

/** True for 1 to 32768, any number (VIRTIO 1.3, 2.8.10.1). */
export function isPackedRingSize(size: number): boolean {
  return Number.isInteger(size) && size >= 1 && size <= VIRTQUEUE_MAX_SIZE;
}

/**
 * Offsets of a packed ring's parts for `size` entries, and the bytes in all, for a start aligned to 16. The parts are
 * named as in a split ring's layout, and as SET_VRING_ADDR names them: `avail` is the driver area, `used` the device area.
 * @throws RangeError when `size` is not 1 to 32768
 */
export function layoutPackedRing(size: number): { desc: number; avail: number; used: number; total: number } {
  if (!isPackedRingSize(size)) throw new RangeError(`ring size ${size}, want 1 to ${VIRTQUEUE_MAX_SIZE}`);
  const avail = VirtqPackedDesc.byteLength * size;
  const used = avail + VirtqPackedEvent.byteLength;
  return { desc: 0, avail, used, total: used + VirtqPackedEvent.byteLength };
}

/** Each queue's area of an in-flight region starts at a multiple of this. */
const INFLIGHT_ALIGN = 64;

/**
 * Bytes of one queue's area of an in-flight region (vhost-user, INFLIGHT_SHMFD), a multiple of 64.
 * @throws RangeError when `size` is not 1 to 32768
 */
export function inflightBytes(packed: boolean, size: number): number {
  if (!isPackedRingSize(size)) throw new RangeError(`ring size ${size}, want 1 to ${VIRTQUEUE_MAX_SIZE}`);
  const bytes = packed
    ? QueueRegionPacked.byteLength + size * DescStatePacked.byteLength
    : QueueRegionSplit.byteLength + size * DescStateSplit.byteLength;
  return Math.ceil(bytes / INFLIGHT_ALIGN) * INFLIGHT_ALIGN;
}
