/** Every structure of the virtio-gpu protocol (linux/virtio_gpu.h; VIRTIO 1.3, 5.7), little-endian. */
import { array, bytes, pad, struct, U8, U32, U64 } from '@oriel/layout';
import { DEBUG_NAME_BYTES, EDID_BUFFER_BYTES } from './values.ts';

const HEADER_FIELDS = { type: U32, flags: U32, fenceId: U64, ctxId: U32, ringIdx: U8, padding: pad(3) } as const;
const RECT_FIELDS = { x: U32, y: U32, width: U32, height: U32 } as const;

/** `struct virtio_gpu_config`. `blobAlignment` exists since VIRTIO_GPU_F_BLOB_ALIGNMENT. */
export const VirtioGpuConfig = struct('virtio_gpu_config', {
  eventsRead: U32,
  eventsClear: U32,
  numScanouts: U32,
  numCapsets: U32,
  blobAlignment: U32,
});

/** `struct virtio_gpu_ctrl_hdr`: begins every request and every reply. */
export const CtrlHdr = struct('virtio_gpu_ctrl_hdr', HEADER_FIELDS);

/** `struct virtio_gpu_rect`, pixels. */
export const Rect = struct('virtio_gpu_rect', RECT_FIELDS);

/** `struct virtio_gpu_mem_entry`: guest pages of a resource. */
export const MemEntry = struct('virtio_gpu_mem_entry', { addr: U64, length: U32, padding: U32 });

export const ResourceCreate2d = struct('virtio_gpu_resource_create_2d', {
  ...HEADER_FIELDS,
  resourceId: U32,
  format: U32,
  width: U32,
  height: U32,
});

/** Also RESOURCE_DETACH_BACKING, RESOURCE_UNMAP_BLOB, RESOURCE_ASSIGN_UUID and CTX_ATTACH/DETACH_RESOURCE. */
export const ResourceUnref = struct('virtio_gpu_resource_unref', { ...HEADER_FIELDS, resourceId: U32, tail: pad(4) });

export const SetScanout = struct('virtio_gpu_set_scanout', {
  ...HEADER_FIELDS,
  ...RECT_FIELDS,
  scanoutId: U32,
  resourceId: U32,
});

export const ResourceFlush = struct('virtio_gpu_resource_flush', {
  ...HEADER_FIELDS,
  ...RECT_FIELDS,
  resourceId: U32,
  tail: pad(4),
});

export const TransferToHost2d = struct('virtio_gpu_transfer_to_host_2d', {
  ...HEADER_FIELDS,
  ...RECT_FIELDS,
  offset: U64,
  resourceId: U32,
  tail: pad(4),
});

/** Followed by `nrEntries` of `MemEntry`. */
export const ResourceAttachBacking = struct('virtio_gpu_resource_attach_backing', {
  ...HEADER_FIELDS,
  resourceId: U32,
  nrEntries: U32,
});

export const GetCapsetInfo = struct('virtio_gpu_get_capset_info', {
  ...HEADER_FIELDS,
  capsetIndex: U32,
  tail: pad(4),
});

export const GetCapset = struct('virtio_gpu_get_capset', { ...HEADER_FIELDS, capsetId: U32, capsetVersion: U32 });

export const GetEdid = struct('virtio_gpu_cmd_get_edid', { ...HEADER_FIELDS, scanout: U32, tail: pad(4) });

/** Followed by `nrEntries` of `MemEntry`. `blobId` is only handed on: two u32. */
export const ResourceCreateBlob = struct('virtio_gpu_resource_create_blob', {
  ...HEADER_FIELDS,
  resourceId: U32,
  blobMem: U32,
  blobFlags: U32,
  nrEntries: U32,
  blobId: U64,
  size: U64,
});

export const SetScanoutBlob = struct('virtio_gpu_set_scanout_blob', {
  ...HEADER_FIELDS,
  ...RECT_FIELDS,
  scanoutId: U32,
  resourceId: U32,
  fbWidth: U32,
  fbHeight: U32,
  format: U32,
  gap: pad(4),
  strides: array(U32, 4),
  offsets: array(U32, 4),
});

export const CtxCreate = struct('virtio_gpu_ctx_create', {
  ...HEADER_FIELDS,
  nlen: U32,
  contextInit: U32,
  debugName: bytes(DEBUG_NAME_BYTES),
});

export const ResourceCreate3d = struct('virtio_gpu_resource_create_3d', {
  ...HEADER_FIELDS,
  resourceId: U32,
  target: U32,
  format: U32,
  bind: U32,
  width: U32,
  height: U32,
  depth: U32,
  arraySize: U32,
  lastLevel: U32,
  nrSamples: U32,
  resourceFlags: U32,
  tail: pad(4),
});

/** Also TRANSFER_FROM_HOST_3D. */
export const TransferHost3d = struct('virtio_gpu_transfer_host_3d', {
  ...HEADER_FIELDS,
  x: U32,
  y: U32,
  z: U32,
  w: U32,
  h: U32,
  d: U32,
  offset: U64,
  resourceId: U32,
  level: U32,
  stride: U32,
  layerStride: U32,
});

/** Followed by `size` bytes of commands. */
export const CmdSubmit = struct('virtio_gpu_cmd_submit', { ...HEADER_FIELDS, size: U32, tail: pad(4) });

export const ResourceMapBlob = struct('virtio_gpu_resource_map_blob', {
  ...HEADER_FIELDS,
  resourceId: U32,
  tail: pad(4),
  offset: U64,
});

/** UPDATE_CURSOR and MOVE_CURSOR. */
export const UpdateCursor = struct('virtio_gpu_update_cursor', {
  ...HEADER_FIELDS,
  scanoutId: U32,
  x: U32,
  y: U32,
  posPadding: pad(4),
  resourceId: U32,
  hotX: U32,
  hotY: U32,
  tail: pad(4),
});

/** One of the 16 entries of `RespDisplayInfo`. */
export const DisplayOne = struct('virtio_gpu_display_one', { ...RECT_FIELDS, enabled: U32, flags: U32 });

/** `struct virtio_gpu_resp_display_info`: `pmodes` are 16 of `DisplayOne`. */
export const RespDisplayInfo = struct('virtio_gpu_resp_display_info', {
  ...HEADER_FIELDS,
  pmodes: bytes(16 * DisplayOne.byteLength),
});

export const RespCapsetInfo = struct('virtio_gpu_resp_capset_info', {
  ...HEADER_FIELDS,
  capsetId: U32,
  capsetMaxVersion: U32,
  capsetMaxSize: U32,
  tail: pad(4),
});

export const RespEdid = struct('virtio_gpu_resp_edid', {
  ...HEADER_FIELDS,
  size: U32,
  tail: pad(4),
  edid: bytes(EDID_BUFFER_BYTES),
});

export const RespResourceUuid = struct('virtio_gpu_resp_resource_uuid', { ...HEADER_FIELDS, uuid: bytes(16) });

export const RespMapInfo = struct('virtio_gpu_resp_map_info', { ...HEADER_FIELDS, mapInfo: U32, tail: pad(4) });
