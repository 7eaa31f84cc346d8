/**
 * Numbers and layouts of the vhost-user-gpu protocol (QEMU docs/interop/vhost-user-gpu.rst), in the byte order of the host.
 * Every layout begins with the message's header; fields follow each other without padding.
 */
import { bytes, I32, struct, U32, U64 } from '@oriel/layout';
import { RespDisplayInfo, RespEdid } from '../protocol/layout.ts';
import { CURSOR_BYTES } from '../protocol/values.ts';

export const VHOST_USER_GPU_GET_PROTOCOL_FEATURES = 1;
export const VHOST_USER_GPU_SET_PROTOCOL_FEATURES = 2;
export const VHOST_USER_GPU_GET_DISPLAY_INFO = 3;
export const VHOST_USER_GPU_CURSOR_POS = 4;
export const VHOST_USER_GPU_CURSOR_POS_HIDE = 5;
export const VHOST_USER_GPU_CURSOR_UPDATE = 6;
export const VHOST_USER_GPU_SCANOUT = 7;
export const VHOST_USER_GPU_UPDATE = 8;
export const VHOST_USER_GPU_DMABUF_SCANOUT = 9;
export const VHOST_USER_GPU_DMABUF_UPDATE = 10;
export const VHOST_USER_GPU_GET_EDID = 11;
export const VHOST_USER_GPU_DMABUF_SCANOUT2 = 12;

/** Header flag of an answer. */
export const VHOST_USER_GPU_MSG_FLAG_REPLY = 4;

/** Bits of the low word of the protocol features. */
export const VHOST_USER_GPU_PROTOCOL_F_EDID = 0;
export const VHOST_USER_GPU_PROTOCOL_F_DMABUF2 = 1;

/** In `fdFlags` of a dma-buf: row 0 is the lowest (QEMU then does not flip when it draws; the name is GL's view). */
export const VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP = 1;

const HEADER_FIELDS = { request: U32, flags: U32, size: U32 } as const;
const PACKED = { packed: true } as const;

/** The header alone: also GET_PROTOCOL_FEATURES, GET_DISPLAY_INFO. */
export const GpuMsgHeader = struct('VhostUserGpuMsg', HEADER_FIELDS);

/** SET_PROTOCOL_FEATURES, and the answer to GET. */
export const GpuMsgU64 = struct('VhostUserGpuMsg_u64', { ...HEADER_FIELDS, u64: U64 }, PACKED);

/** CURSOR_POS, CURSOR_POS_HIDE. */
export const GpuMsgCursorPos = struct('VhostUserGpuCursorPos', { ...HEADER_FIELDS, scanoutId: U32, x: U32, y: U32 });

export const GpuMsgCursorUpdate = struct('VhostUserGpuCursorUpdate', {
  ...HEADER_FIELDS,
  scanoutId: U32,
  x: U32,
  y: U32,
  hotX: U32,
  hotY: U32,
  data: bytes(CURSOR_BYTES),
});

export const GpuMsgScanout = struct('VhostUserGpuScanout', {
  ...HEADER_FIELDS,
  scanoutId: U32,
  width: U32,
  height: U32,
});

/** UPDATE, which pixels follow, and DMABUF_UPDATE, which is complete. */
export const GpuMsgUpdate = struct('VhostUserGpuUpdate', {
  ...HEADER_FIELDS,
  scanoutId: U32,
  x: U32,
  y: U32,
  width: U32,
  height: U32,
});

const DMABUF_FIELDS = {
  ...HEADER_FIELDS,
  scanoutId: U32,
  x: U32,
  y: U32,
  width: U32,
  height: U32,
  fdWidth: U32,
  fdHeight: U32,
  fdStride: U32,
  fdFlags: U32,
  fdDrmFourcc: I32,
} as const;

export const GpuMsgDmaBufScanout = struct('VhostUserGpuDMABUFScanout', DMABUF_FIELDS);

export const GpuMsgDmaBufScanout2 = struct('VhostUserGpuDMABUFScanout2', { ...DMABUF_FIELDS, modifier: U64 }, PACKED);

export const GpuMsgEdidRequest = struct('VhostUserGpuEdidRequest', { ...HEADER_FIELDS, scanoutId: U32 });

/** Payload bytes of each answer there is. */
export const REPLY_BYTES: ReadonlyMap<number, number> = new Map([
  [VHOST_USER_GPU_GET_PROTOCOL_FEATURES, 8],
  [VHOST_USER_GPU_GET_DISPLAY_INFO, RespDisplayInfo.byteLength],
  [VHOST_USER_GPU_DMABUF_UPDATE, 0],
  [VHOST_USER_GPU_GET_EDID, RespEdid.byteLength],
]);
/** Payload bytes of the longest answer. */
export const MAX_REPLY_BYTES = RespEdid.byteLength;

/** Writes the header of a message of `len` bytes in all. */
export function putHeader(view: DataView, offset: number, request: number, len: number): void {
  GpuMsgHeader.request.set(view, offset, request);
  GpuMsgHeader.flags.set(view, offset, 0);
  GpuMsgHeader.size.set(view, offset, len - GpuMsgHeader.byteLength);
}
