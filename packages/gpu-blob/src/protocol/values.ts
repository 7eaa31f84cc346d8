/** Numbers of the virtio-gpu protocol (linux/virtio_gpu.h; VIRTIO 1.3, 5.7). */

export const VIRTIO_ID_GPU = 16;

/** Feature bits. */
export const VIRTIO_GPU_F_VIRGL = 0;
export const VIRTIO_GPU_F_EDID = 1;
export const VIRTIO_GPU_F_RESOURCE_UUID = 2;
export const VIRTIO_GPU_F_RESOURCE_BLOB = 3;
export const VIRTIO_GPU_F_CONTEXT_INIT = 4;
export const VIRTIO_GPU_F_BLOB_ALIGNMENT = 5;

export const VIRTIO_GPU_MAX_SCANOUTS = 16;
/** In `events_read`: the displays changed. */
export const VIRTIO_GPU_EVENT_DISPLAY = 1;
/** The shared memory region that holds mapped blobs. */
export const VIRTIO_GPU_SHM_ID_HOST_VISIBLE = 1;

/** Queues. */
export const CONTROL_QUEUE = 0;
export const CURSOR_QUEUE = 1;

/** Header flags. */
export const VIRTIO_GPU_FLAG_FENCE = 1;
export const VIRTIO_GPU_FLAG_INFO_RING_IDX = 2;
/** Rings of a context: 0 to 63. */
export const VIRTIO_GPU_MAX_RINGS = 64;

/** Commands of the control queue. */
export const VIRTIO_GPU_CMD_GET_DISPLAY_INFO = 0x100;
export const VIRTIO_GPU_CMD_RESOURCE_CREATE_2D = 0x101;
export const VIRTIO_GPU_CMD_RESOURCE_UNREF = 0x102;
export const VIRTIO_GPU_CMD_SET_SCANOUT = 0x103;
export const VIRTIO_GPU_CMD_RESOURCE_FLUSH = 0x104;
export const VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D = 0x105;
export const VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING = 0x106;
export const VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING = 0x107;
export const VIRTIO_GPU_CMD_GET_CAPSET_INFO = 0x108;
export const VIRTIO_GPU_CMD_GET_CAPSET = 0x109;
export const VIRTIO_GPU_CMD_GET_EDID = 0x10a;
export const VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID = 0x10b;
export const VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB = 0x10c;
export const VIRTIO_GPU_CMD_SET_SCANOUT_BLOB = 0x10d;
export const VIRTIO_GPU_CMD_CTX_CREATE = 0x200;
export const VIRTIO_GPU_CMD_CTX_DESTROY = 0x201;
export const VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE = 0x202;
export const VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE = 0x203;
export const VIRTIO_GPU_CMD_RESOURCE_CREATE_3D = 0x204;
export const VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D = 0x205;
export const VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D = 0x206;
export const VIRTIO_GPU_CMD_SUBMIT_3D = 0x207;
export const VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB = 0x208;
export const VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB = 0x209;
/** Commands of the cursor queue. */
export const VIRTIO_GPU_CMD_UPDATE_CURSOR = 0x300;
export const VIRTIO_GPU_CMD_MOVE_CURSOR = 0x301;

/** Replies. */
export const VIRTIO_GPU_RESP_OK_NODATA = 0x1100;
export const VIRTIO_GPU_RESP_OK_DISPLAY_INFO = 0x1101;
export const VIRTIO_GPU_RESP_OK_CAPSET_INFO = 0x1102;
export const VIRTIO_GPU_RESP_OK_CAPSET = 0x1103;
export const VIRTIO_GPU_RESP_OK_EDID = 0x1104;
export const VIRTIO_GPU_RESP_OK_RESOURCE_UUID = 0x1105;
export const VIRTIO_GPU_RESP_OK_MAP_INFO = 0x1106;
export const VIRTIO_GPU_RESP_ERR_UNSPEC = 0x1200;
export const VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY = 0x1201;
export const VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID = 0x1202;
export const VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID = 0x1203;
export const VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID = 0x1204;
export const VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER = 0x1205;

/** A reply without data: OK_NODATA or one of the errors. */
export type GpuStatus =
  | typeof VIRTIO_GPU_RESP_OK_NODATA
  | typeof VIRTIO_GPU_RESP_ERR_UNSPEC
  | typeof VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
  | typeof VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID
  | typeof VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
  | typeof VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID
  | typeof VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;

/** Pixel formats; the names give the order of the bytes in memory. All have four bytes a pixel. */
export const VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM = 1;
export const VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM = 2;
export const VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM = 3;
export const VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM = 4;
export const VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM = 67;
export const VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM = 68;
export const VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM = 121;
export const VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM = 134;
/** Bytes a pixel in every format. */
export const BYTES_PER_PIXEL = 4;

/** Where a blob's memory is. */
export const VIRTIO_GPU_BLOB_MEM_GUEST = 1;
export const VIRTIO_GPU_BLOB_MEM_HOST3D = 2;
export const VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST = 3;

/** What a blob may be used for. */
export const VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE = 1;
export const VIRTIO_GPU_BLOB_FLAG_USE_SHAREABLE = 2;
export const VIRTIO_GPU_BLOB_FLAG_USE_CROSS_DEVICE = 4;
/** All flags that exist. */
export const BLOB_FLAGS = 7;

/** How the guest maps a blob: the low four bits of map_info. */
export const VIRTIO_GPU_MAP_CACHE_MASK = 0x0f;
export const VIRTIO_GPU_MAP_CACHE_NONE = 0;
export const VIRTIO_GPU_MAP_CACHE_CACHED = 1;
export const VIRTIO_GPU_MAP_CACHE_UNCACHED = 2;
export const VIRTIO_GPU_MAP_CACHE_WC = 3;

/** The low byte of CTX_CREATE's context_init: the capset id. */
export const VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK = 0xff;

/** Most entries of a backing store (QEMU's limit, which drivers know). */
export const MAX_BACKING_ENTRIES = 16384;
/** Least width and height of a scanout (as QEMU). */
export const MIN_SCANOUT = 16;
/** Width and height of a cursor image. */
export const CURSOR_SIZE = 64;
/** Bytes of a cursor image. */
export const CURSOR_BYTES = CURSOR_SIZE * CURSOR_SIZE * BYTES_PER_PIXEL;
/** Bytes of the EDID buffer in a reply. */
export const EDID_BUFFER_BYTES = 1024;
/** Bytes of CTX_CREATE's debug_name. */
export const DEBUG_NAME_BYTES = 64;
