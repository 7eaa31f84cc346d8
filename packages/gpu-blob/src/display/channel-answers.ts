/** What the front-end's answers mean. */
import { DisplayOne, RespDisplayInfo, RespEdid } from '../protocol/layout.ts';
import {
  EDID_BUFFER_BYTES,
  VIRTIO_GPU_MAX_SCANOUTS,
  VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
  VIRTIO_GPU_RESP_OK_EDID,
} from '../protocol/values.ts';
import { EDID_BLOCK_BYTES } from './edid.ts';
import type { Output } from './sink.ts';

/**
 * @param payload - a `struct virtio_gpu_resp_display_info`
 * @returns 16 outputs; null when the structure says that there was an error
 */
export function readOutputs(payload: DataView): readonly Output[] | null {
  if (RespDisplayInfo.type.get(payload, 0) !== VIRTIO_GPU_RESP_OK_DISPLAY_INFO) {
    return null;
  }
  const outputs: Output[] = [];
  for (let index = 0; index < VIRTIO_GPU_MAX_SCANOUTS; index++) {
    const base = RespDisplayInfo.pmodes.offset + index * DisplayOne.byteLength;
    outputs.push({
      x: DisplayOne.x.get(payload, base),
      y: DisplayOne.y.get(payload, base),
      width: DisplayOne.width.get(payload, base),
      height: DisplayOne.height.get(payload, base),
      enabled: DisplayOne.enabled.get(payload, base) !== 0,
    });
  }
  return outputs;
}

/**
 * @param payload - a `struct virtio_gpu_resp_edid`
 * @param bytes - the same memory
 * @returns a copy of the EDID, 128 to 1024 bytes; null when the structure says that there was an error, or another size
 */
export function readEdid(payload: DataView, bytes: Uint8Array): Uint8Array | null {
  const size = RespEdid.size.get(payload, 0);
  const isOk = RespEdid.type.get(payload, 0) === VIRTIO_GPU_RESP_OK_EDID;
  if (!isOk || size < EDID_BLOCK_BYTES || size > EDID_BUFFER_BYTES) {
    return null;
  }
  return bytes.slice(RespEdid.edid.offset, RespEdid.edid.offset + size);
}
