/** The commands of the cursor queue. Linux gives them no room for a reply, so a mistake shows in the log only. */
import { UpdateCursor } from '../protocol/layout.ts';
import {
  VIRTIO_GPU_CMD_MOVE_CURSOR,
  VIRTIO_GPU_CMD_UPDATE_CURSOR,
  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
} from '../protocol/values.ts';
import type { Handler } from './gpu.ts';

/** UPDATE_CURSOR and MOVE_CURSOR. */
export const handleCursor: Handler = (gpu, request, view) => {
  const known = request.type === VIRTIO_GPU_CMD_UPDATE_CURSOR || request.type === VIRTIO_GPU_CMD_MOVE_CURSOR;
  if (!known || request.length < UpdateCursor.byteLength) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  if (UpdateCursor.scanoutId.get(view, 0) >= gpu.displays.scanoutCount) return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
  return request.type === VIRTIO_GPU_CMD_UPDATE_CURSOR
    ? gpu.displays.cursors.update(view, gpu.resources)
    : gpu.displays.cursors.move(view);
};
