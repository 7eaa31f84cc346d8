/** Structures and numbers of drm/virtgpu_drm.h and drm/drm.h, as far as a cross-domain context needs them. */
import { I32, struct, U32, U64 } from '@oriel/layout';

export const DrmVirtgpuMap = struct('drm_virtgpu_map', { offset: U64, handle: U32, pad: U32 });

export const DrmVirtgpuExecbuffer = struct('drm_virtgpu_execbuffer', {
  flags: U32,
  size: U32,
  command: U64,
  boHandles: U64,
  numBoHandles: U32,
  fenceFd: I32,
  ringIdx: U32,
  syncobjStride: U32,
  numInSyncobjs: U32,
  numOutSyncobjs: U32,
  inSyncobjs: U64,
  outSyncobjs: U64,
});

export const DrmVirtgpu3dWait = struct('drm_virtgpu_3d_wait', { handle: U32, flags: U32 });

export const DrmVirtgpuGetCaps = struct('drm_virtgpu_get_caps', {
  capSetId: U32,
  capSetVer: U32,
  addr: U64,
  size: U32,
  pad: U32,
});

export const DrmVirtgpuResourceCreateBlob = struct('drm_virtgpu_resource_create_blob', {
  blobMem: U32,
  blobFlags: U32,
  boHandle: U32,
  resHandle: U32,
  size: U64,
  pad: U32,
  cmdSize: U32,
  cmd: U64,
  blobId: U64,
});

export const DrmVirtgpuContextSetParam = struct('drm_virtgpu_context_set_param', { param: U64, value: U64 });

export const DrmVirtgpuContextInit = struct('drm_virtgpu_context_init', {
  numParams: U32,
  pad: U32,
  ctxSetParams: U64,
});

export const DrmGemClose = struct('drm_gem_close', { handle: U32, pad: U32 });

/** What `read` of the device gives, one for each fence of a polled ring. */
export const DrmEvent = struct('drm_event', { type: U32, length: U32 });

/** asm-generic/ioctl.h: _IOW is 1, _IOWR is 3. */
function request(direction: 1 | 3, number: number, layout: { readonly byteLength: number }): number {
  return direction * 2 ** 30 + layout.byteLength * 2 ** 16 + 0x64 * 2 ** 8 + number;
}

export const DRM_IOCTL_GEM_CLOSE = request(1, 0x09, DrmGemClose);
export const DRM_IOCTL_VIRTGPU_MAP = request(3, 0x41, DrmVirtgpuMap);
export const DRM_IOCTL_VIRTGPU_EXECBUFFER = request(3, 0x42, DrmVirtgpuExecbuffer);
export const DRM_IOCTL_VIRTGPU_WAIT = request(3, 0x48, DrmVirtgpu3dWait);
export const DRM_IOCTL_VIRTGPU_GET_CAPS = request(3, 0x49, DrmVirtgpuGetCaps);
/** Without the hints of newer headers: 48 bytes, which every kernel takes. */
export const DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB = request(3, 0x4a, DrmVirtgpuResourceCreateBlob);
export const DRM_IOCTL_VIRTGPU_CONTEXT_INIT = request(3, 0x4b, DrmVirtgpuContextInit);

export const VIRTGPU_EXECBUF_FENCE_FD_OUT = 2;
export const VIRTGPU_EXECBUF_RING_IDX = 4;
export const VIRTGPU_BLOB_MEM_GUEST = 1;
export const VIRTGPU_BLOB_MEM_HOST3D = 2;
export const VIRTGPU_BLOB_FLAG_USE_MAPPABLE = 1;
export const VIRTGPU_BLOB_FLAG_USE_SHAREABLE = 2;
export const VIRTGPU_CONTEXT_PARAM_CAPSET_ID = 1;
export const VIRTGPU_CONTEXT_PARAM_NUM_RINGS = 2;
export const VIRTGPU_CONTEXT_PARAM_POLL_RINGS_MASK = 3;
export const VIRTGPU_CONTEXT_PARAM_DEBUG_NAME = 4;
export const VIRTGPU_EVENT_FENCE_SIGNALED = 0x9000_0000;
