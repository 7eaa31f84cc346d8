/** What requests of known devices begin with, little-endian. */
import { pad, struct, U32, U64 } from '@oriel/layout';

/** `struct virtio_blk_outhdr` (VIRTIO 1.3, 5.2.6). */
export const VirtioBlkOuthdr = struct('virtio_blk_outhdr', { type: U32, ioprio: U32, sector: U64 });
export const VIRTIO_BLK_T_IN = 0;
export const VIRTIO_BLK_T_OUT = 1;
export const VIRTIO_BLK_T_GET_ID = 8;
export const VIRTIO_BLK_T_DISCARD = 11;
export const VIRTIO_BLK_ID_BYTES = 20;
export const VIRTIO_BLK_S_OK = 0;
export const SECTOR = 512;

/** `struct virtio_gpu_ctrl_hdr` (VIRTIO 1.3, 5.7.6.7). */
export const VirtioGpuCtrlHdr = struct('virtio_gpu_ctrl_hdr', {
  type: U32,
  flags: U32,
  fenceId: U64,
  ctxId: U32,
  ringIdx: U32,
});
export const VIRTIO_GPU_CMD_GET_DISPLAY_INFO = 0x0100;
export const VIRTIO_GPU_CMD_RESOURCE_CREATE_2D = 0x0101;
export const VIRTIO_GPU_CMD_RESOURCE_UNREF = 0x0102;
export const VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D = 0x0105;
export const VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING = 0x0106;
export const VIRTIO_GPU_RESP_OK_NODATA = 0x1100;
export const VIRTIO_GPU_RESP_OK_DISPLAY_INFO = 0x1101;
/** Bytes of `struct virtio_gpu_resp_display_info`: the header and 16 displays. */
export const DISPLAY_INFO_BYTES = VirtioGpuCtrlHdr.byteLength + 16 * 24;

/** `struct virtio_gpu_resource_create_2d` behind its header. */
export const VirtioGpuResourceCreate2d = struct('virtio_gpu_resource_create_2d', {
  resourceId: U32,
  format: U32,
  width: U32,
  height: U32,
});

/** `struct virtio_gpu_resource_attach_backing` behind its header; the entries follow. */
export const VirtioGpuResourceAttachBacking = struct('virtio_gpu_resource_attach_backing', {
  resourceId: U32,
  nrEntries: U32,
});

/** `struct virtio_gpu_mem_entry`. */
export const VirtioGpuMemEntry = struct('virtio_gpu_mem_entry', { addr: U64, length: U32, padding: pad(4) });
