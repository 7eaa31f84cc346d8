/** What the suite accepts of what a back-end offers. */
import {
  FeatureSet,
  VHOST_F_LOG_ALL,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_DEVICE_STATE,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  VHOST_USER_PROTOCOL_F_LOG_SHMFD,
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_RESET_DEVICE,
  VHOST_USER_PROTOCOL_F_STATUS,
  VIRTIO_F_ACCESS_PLATFORM,
  VIRTIO_F_RING_PACKED,
} from '@oriel/vhost-user';
import { VIRTIO_F_IN_ORDER, VIRTIO_RING_F_EVENT_IDX } from '@oriel/virtqueue';

/** Those that open more messages to be sent wrongly; none that changes what addresses mean, or what a region looks like. */
const PROTOCOL = FeatureSet.of(
  VHOST_USER_PROTOCOL_F_MQ,
  VHOST_USER_PROTOCOL_F_LOG_SHMFD,
  VHOST_USER_PROTOCOL_F_REPLY_ACK,
  VHOST_USER_PROTOCOL_F_CONFIG,
  VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD,
  VHOST_USER_PROTOCOL_F_RESET_DEVICE,
  VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS,
  VHOST_USER_PROTOCOL_F_STATUS,
  VHOST_USER_PROTOCOL_F_DEVICE_STATE,
);

/** Of the offered protocol features. */
export function acceptedProtocol(offered: FeatureSet): FeatureSet {
  return offered.and(PROTOCOL);
}

/** All offered device features, except those that change the rings' format or order, their addresses, or log what is written. */
export function acceptedFeatures(offered: FeatureSet, packed: boolean): FeatureSet {
  const features = offered.without(
    VHOST_F_LOG_ALL,
    VIRTIO_RING_F_EVENT_IDX,
    VIRTIO_F_ACCESS_PLATFORM,
    VIRTIO_F_IN_ORDER,
  );
  return packed ? features : features.without(VIRTIO_F_RING_PACKED);
}
