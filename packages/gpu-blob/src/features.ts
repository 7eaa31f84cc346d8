/** The feature bits that a device offers (VIRTIO 1.3, 5.7.3). */
import { FeatureSet } from '@oriel/vhost-user';
import {
  VIRTIO_GPU_F_BLOB_ALIGNMENT,
  VIRTIO_GPU_F_CONTEXT_INIT,
  VIRTIO_GPU_F_EDID,
  VIRTIO_GPU_F_RESOURCE_BLOB,
  VIRTIO_GPU_F_RESOURCE_UUID,
  VIRTIO_GPU_F_VIRGL,
} from './protocol/values.ts';

/** Linux pages of 4 KiB fit every mapping; a host with larger ones must tell the guest. */
const GUEST_PAGE = 4096;

/** @returns the alignment of blobs that the guest must be told, bytes; 0 where it needs none */
export function blobAlignmentFor(hostVisible: number, pageSize: number): number {
  return hostVisible > 0 && pageSize > GUEST_PAGE ? pageSize : 0;
}

/** @param hasContexts - there is a context type, or a renderer */
export function offeredFeatures(hasContexts: boolean, blobAlignment: number): FeatureSet {
  const bits = [VIRTIO_GPU_F_EDID, VIRTIO_GPU_F_RESOURCE_UUID, VIRTIO_GPU_F_RESOURCE_BLOB];
  // Linux wants VIRGL for contexts and HOST3D blobs, whatever renders.
  if (hasContexts) bits.push(VIRTIO_GPU_F_VIRGL, VIRTIO_GPU_F_CONTEXT_INIT);
  if (blobAlignment > 0) bits.push(VIRTIO_GPU_F_BLOB_ALIGNMENT);
  return FeatureSet.of(...bits);
}
