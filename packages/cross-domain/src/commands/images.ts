/** GET_IMAGE_REQUIREMENTS: how a picture lies in memory, and the blob id under which there is such memory. */
import {
  VIRTIO_GPU_MAP_CACHE_CACHED,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '@oriel/gpu-blob';
import { imageLayout } from '../images/formats.ts';
import { CrossDomainGetImageRequirements, CrossDomainImageRequirements } from '../protocol/layout.ts';
import type { Handler } from './command.ts';

/** A refused picture leaves zeros in the ring: user space does not hear of the status. */
export const getImageRequirements: Handler = (program, { view, base }) => {
  const { queryRing, templates, items, around } = program;
  if (queryRing === null) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const { bytes, view: answer } = queryRing.scratch;
  const layout = imageLayout(
    CrossDomainGetImageRequirements.width.get(view, base),
    CrossDomainGetImageRequirements.height.get(view, base),
    CrossDomainGetImageRequirements.drmFormat.get(view, base),
  );
  const size = layout === null ? 0 : around.memory.pages(layout.size);
  const isPossible = layout !== null && size <= around.limits.maxBytes;
  bytes.fill(0, 0, CrossDomainImageRequirements.byteLength);
  if (isPossible) {
    for (const [plane, stride] of layout.strides.entries()) {
      CrossDomainImageRequirements.strides.set(answer, 0, plane, stride);
      CrossDomainImageRequirements.offsets.set(answer, 0, plane, layout.offsets[plane]!);
    }
    CrossDomainImageRequirements.size.set(answer, 0, size);
    CrossDomainImageRequirements.blobId.set(
      answer,
      0,
      templates.idFor(size, () => items.newId()),
    );
    CrossDomainImageRequirements.mapInfo.set(answer, 0, VIRTIO_GPU_MAP_CACHE_CACHED);
    CrossDomainImageRequirements.memoryIdx.set(answer, 0, -1);
    CrossDomainImageRequirements.physicalDeviceIdx.set(answer, 0, -1);
  }
  if (queryRing.write(CrossDomainImageRequirements.byteLength) !== 0) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  if (isPossible) return VIRTIO_GPU_RESP_OK_NODATA;
  around.say(
    layout === null ? 'a picture of that format or size cannot be' : `a picture of ${size} bytes is too large`,
  );
  return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
};
