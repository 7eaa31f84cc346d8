/** The rings' structures and constants (VIRTIO 1.3, 2.7 and 2.8; linux/virtio_ring.h, whose names the constants keep). */
import { pad, struct, U8, U16, U32, U64 } from '@oriel/layout';

/** `struct vring_desc`, 16 bytes: one buffer of a chain (2.7.5). */
export const VirtqDesc = struct('vring_desc', { addr: U64, len: U32, flags: U16, next: U16 });

/** Head of `struct vring_avail` (2.7.6); `size` u16 heads follow, then u16 used_event. */
export const VirtqAvail = struct('vring_avail', { flags: U16, idx: U16 });

/** Head of `struct vring_used` (2.7.8); `size` elements follow, then u16 avail_event. */
export const VirtqUsed = struct('vring_used', { flags: U16, idx: U16 });

/** `struct vring_used_elem`, 8 bytes: a completed chain. */
export const VirtqUsedElem = struct('vring_used_elem', { id: U32, len: U32 });

/** `struct vring_packed_desc`, 16 bytes: a buffer, or a used chain (2.8.6). */
export const VirtqPackedDesc = struct('vring_packed_desc', { addr: U64, len: U32, id: U16, flags: U16 });

/** `struct vring_packed_desc_event`, 4 bytes: when one side wants to hear of the other (2.8.14). */
export const VirtqPackedEvent = struct('vring_packed_desc_event', { offWrap: U16, flags: U16 });

/** Head of a split queue's in-flight area (vhost-user, `QueueRegionSplit`); `descNum` entries follow. */
export const QueueRegionSplit = struct('QueueRegionSplit', {
  features: U64,
  version: U16,
  descNum: U16,
  lastBatchHead: U16,
  usedIdx: U16,
});

/** One entry of it, by head (`DescStateSplit`), 16 bytes. */
export const DescStateSplit = struct('DescStateSplit', { inflight: U8, padding: pad(5), next: U16, counter: U64 });

/** Head of a packed queue's in-flight area (`QueueRegionPacked`); `descNum` entries follow, aligned as C would have them. */
export const QueueRegionPacked = struct('QueueRegionPacked', {
  features: U64,
  version: U16,
  descNum: U16,
  freeHead: U16,
  oldFreeHead: U16,
  usedIdx: U16,
  oldUsedIdx: U16,
  usedWrapCounter: U8,
  oldUsedWrapCounter: U8,
  padding: pad(10),
});

/** One entry of it (`DescStatePacked`), 32 bytes: a copied descriptor; of a chain's first one, the chain. */
export const DescStatePacked = struct('DescStatePacked', {
  inflight: U8,
  padding: pad(1),
  next: U16,
  last: U16,
  num: U16,
  counter: U64,
  id: U16,
  flags: U16,
  len: U32,
  addr: U64,
});

/** The version of these areas; 0 is an area that no device has used. */
export const INFLIGHT_VERSION = 1;

/** The chain goes on at `next`; in a packed ring, in the next descriptor. */
export const VRING_DESC_F_NEXT = 1;
/** The device writes to this buffer; otherwise it reads. */
export const VRING_DESC_F_WRITE = 2;
/** The buffer holds a table of descriptors. */
export const VRING_DESC_F_INDIRECT = 4;

/** In used.flags: the driver need not kick. */
export const VRING_USED_F_NO_NOTIFY = 1;
/** In avail.flags: the device need not call. */
export const VRING_AVAIL_F_NO_INTERRUPT = 1;

/** Bit numbers of a packed descriptor's flags: equal to the writer's wrap counter, or not (2.8.1). */
export const VRING_PACKED_DESC_F_AVAIL = 7;
export const VRING_PACKED_DESC_F_USED = 15;

/** In the flags of `VirtqPackedEvent`: always, never, or at a descriptor. */
export const VRING_PACKED_EVENT_FLAG_ENABLE = 0;
export const VRING_PACKED_EVENT_FLAG_DISABLE = 1;
export const VRING_PACKED_EVENT_FLAG_DESC = 2;
/** Bit number of the wrap counter in `offWrap`. */
export const VRING_PACKED_EVENT_F_WRAP_CTR = 15;

/** Feature bit: indirect descriptors. */
export const VIRTIO_RING_F_INDIRECT_DESC = 28;
/** Feature bit: used_event and avail_event replace the flags. */
export const VIRTIO_RING_F_EVENT_IDX = 29;
/** Feature bit: packed rings. */
export const VIRTIO_F_RING_PACKED = 34;
/** Feature bit: chains come back in the order in which they were made available. */
export const VIRTIO_F_IN_ORDER = 35;
/** Feature bit: one queue can be reset alone. */
export const VIRTIO_F_RING_RESET = 40;

/** What the address of each part must be a multiple of. */
export const VRING_DESC_ALIGN_SIZE = 16;
export const VRING_AVAIL_ALIGN_SIZE = 2;
export const VRING_USED_ALIGN_SIZE = 4;
/** The same for the event areas of a packed ring. */
export const VRING_PACKED_EVENT_ALIGN_SIZE = 4;

/** The most entries of a ring. */
export const VIRTQUEUE_MAX_SIZE = 32768;
