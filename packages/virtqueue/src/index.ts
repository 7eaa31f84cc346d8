/**
 * Virtqueues: the split ring, device side and driver side.
 * @packageDocumentation
 */
export { type VirtqueueBlame, VirtqueueError, type VirtqueueErrorCode } from './errors.ts';
export {
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
  VIRTQUEUE_MAX_SIZE,
  VirtqAvail,
  VirtqDesc,
  VirtqUsed,
  VirtqUsedElem,
  VRING_AVAIL_ALIGN_SIZE,
  VRING_AVAIL_F_NO_INTERRUPT,
  VRING_DESC_ALIGN_SIZE,
  VRING_DESC_F_INDIRECT,
  VRING_DESC_F_NEXT,
  VRING_DESC_F_WRITE,
  VRING_USED_ALIGN_SIZE,
  VRING_USED_F_NO_NOTIFY,
} from './layout.ts';
export type { Chain, DeviceQueue, QueueStats, SplitQueueConfig } from './queue.ts';
export { newQueueStats } from './queue.ts';
export { isRingSize, layoutSplitRing, ringBytes } from './ring-size.ts';
export { type DriverBuffer, SplitDriver, type SplitDriverConfig } from './split-driver.ts';
export { SplitQueue } from './split-queue.ts';
