/**
 * Virtqueues: split and packed rings, device side and driver side.
 * @packageDocumentation
 */
export { type VirtqueueBlame, VirtqueueError, type VirtqueueErrorCode } from './errors.ts';
export {
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_RING_RESET,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
  VIRTQUEUE_MAX_SIZE,
  VirtqAvail,
  VirtqDesc,
  VirtqPackedDesc,
  VirtqPackedEvent,
  VirtqUsed,
  VirtqUsedElem,
  VRING_AVAIL_ALIGN_SIZE,
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_ALIGN_SIZE,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_PACKED_DESC_F_AVAIL,
  VRING_PACKED_DESC_F_USED,
  VRING_PACKED_EVENT_ALIGN_SIZE,
  VRING_PACKED_EVENT_F_WRAP_CTR,
  VRING_PACKED_EVENT_FLAG_DESC,
  VRING_PACKED_EVENT_FLAG_DISABLE,
  VRING_PACKED_EVENT_FLAG_ENABLE,
  VRING_USED_ALIGN_SIZE,
  VRING_USED_F_NO_NOTIFY,
} from './layout.ts';
export { PackedDriver } from './packed-driver.ts';
export { PackedQueue } from './packed-queue.ts';
export { PACKED_RING_START } from './packed-ring.ts';
export type {
  Chain,
  DeviceQueue,
  DirtyLog,
  KeptBuffer,
  KeptChain,
  PackedQueueConfig,
  QueueConfig,
  QueueState,
  QueueStats,
  RingQueue,
  SplitQueueConfig,
} from './queue.ts';
export { newQueueStats } from './queue.ts';
export type { DriverBuffer, DriverConfig, RingDriver } from './ring-driver.ts';
export {
  inflightBytes,
  isPackedRingSize,
  isRingSize,
  layoutPackedRing,
  layoutSplitRing,
  ringBytes,
} from './ring-size.ts';
export { SplitDriver, type SplitDriverConfig } from './split-driver.ts';
export { SplitQueue } from './split-queue.ts';
