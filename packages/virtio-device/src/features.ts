/** Feature bits that belong to the ring and the transport, not to a device (VIRTIO 1.3, 6). */
import { FeatureSet } from '@oriel/vhost-user';
import {
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_RING_RESET,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_RING_F_INDIRECT_DESC,
} from '@oriel/virtqueue';

/** The device follows VIRTIO 1.0 or later. VIRTIO 1.3, 6. */
export const VIRTIO_F_VERSION_1 = 32;

/** What `serve` adds to the features of every device. */
export const transportFeatures: FeatureSet = FeatureSet.of(
  VIRTIO_RING_F_INDIRECT_DESC,
  VIRTIO_RING_F_EVENT_IDX,
  VIRTIO_F_VERSION_1,
);

/** What `serve` adds when its option `ringFeatures` says so. */
export const optionalRingFeatures: FeatureSet = FeatureSet.of(
  VIRTIO_F_RING_PACKED,
  VIRTIO_F_IN_ORDER,
  VIRTIO_F_RING_RESET,
);

/** True for a bit that a device may declare: 0..23 and 50..63 (VIRTIO 1.3, 2.2). */
export function isDeviceFeature(bit: number): boolean {
  return (bit >= 0 && bit <= 23) || (bit >= 50 && bit <= 63);
}
