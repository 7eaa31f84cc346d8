/** Blobs and their mappings (VIRTIO 1.3, 5.7.6.8: RESOURCE_CREATE_BLOB, RESOURCE_MAP_BLOB, RESOURCE_UNMAP_BLOB). */
import type { HostBlob } from '../contexts/context-type.ts';
import { ResourceCreateBlob, ResourceMapBlob, ResourceUnref, RespMapInfo } from '../protocol/layout.ts';
import {
  BLOB_FLAGS,
  type GpuStatus,
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST,
  VIRTIO_GPU_F_RESOURCE_BLOB,
  VIRTIO_GPU_F_VIRGL,
  VIRTIO_GPU_MAP_CACHE_MASK,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_MAP_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { Backing } from '../resources/backing.ts';
import { type Gpu, type Handler, PENDING } from './gpu.ts';
import { makeReply } from './reply.ts';
import type { Request } from './request.ts';
import { readBacking } from './resource-commands.ts';

export const resourceCreateBlob: Handler = (gpu, request, view) => {
  const id = ResourceCreateBlob.resourceId.get(view, 0);
  const blobMem = ResourceCreateBlob.blobMem.get(view, 0);
  const blobFlags = ResourceCreateBlob.blobFlags.get(view, 0);
  const count = ResourceCreateBlob.nrEntries.get(view, 0);
  const size = ResourceCreateBlob.size.get(view, 0);
  const onHost = blobMem === VIRTIO_GPU_BLOB_MEM_HOST3D || blobMem === VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST;
  const inGuest = blobMem === VIRTIO_GPU_BLOB_MEM_GUEST || blobMem === VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST;
  const wrong =
    !gpu.accepted.has(VIRTIO_GPU_F_RESOURCE_BLOB) ||
    !(onHost || inGuest) ||
    (onHost && !gpu.accepted.has(VIRTIO_GPU_F_VIRGL)) ||
    (blobFlags & ~BLOB_FLAGS) !== 0 ||
    (!inGuest && count !== 0) ||
    size === 0 ||
    !Number.isSafeInteger(size);
  if (wrong) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  let backing: Backing | null = null;
  if (inGuest) {
    backing = readBacking(gpu, request.length, ResourceCreateBlob.byteLength, count);
    if (backing === null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
  const { pageSize } = gpu.host.sys.mem;
  const hostBytes = onHost ? Math.ceil(size / pageSize) * pageSize : 0;
  const reserved = gpu.resources.reserve(id, hostBytes);
  if (reserved !== VIRTIO_GPU_RESP_OK_NODATA) return reserved;
  let host: HostBlob | null = null;
  if (onHost) {
    const made = makeHostBlob(gpu, request, view, hostBytes);
    if (typeof made === 'number') {
      gpu.resources.hostmem.give(hostBytes);
      return made;
    }
    host = made;
  }
  return gpu.resources.addBlob({ id, blobMem, blobFlags, size, backing, host, hostBytes });
};

/** Asks the context of the request's header for the host object. @param pages - bytes that a mapping would have */
function makeHostBlob(gpu: Gpu, request: Request, view: DataView, pages: number): HostBlob | GpuStatus {
  const { remaking } = gpu;
  const context = gpu.contexts.get(request.ctxId);
  // A blob outlives the context that made it.
  if (context === null && remaking === null) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
  const resourceId = ResourceCreateBlob.resourceId.get(view, 0);
  const wanted = {
    resourceId,
    blobIdLo: ResourceCreateBlob.blobId.lo(view, 0),
    blobIdHi: ResourceCreateBlob.blobId.hi(view, 0),
    size: ResourceCreateBlob.size.get(view, 0),
    blobMem: ResourceCreateBlob.blobMem.get(view, 0),
    flags: ResourceCreateBlob.blobFlags.get(view, 0),
  };
  const blob = remaking === null ? context!.createBlob(wanted) : remaking.hostBlob(wanted);
  if (typeof blob !== 'number' && blob.size < pages) {
    gpu.complaints.say(`resource ${resourceId} wants ${pages} bytes of a host object of ${blob.size}`);
    blob[Symbol.dispose]();
    return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
  return blob;
}

/** RESOURCE_MAP_BLOB: answered when the guest sees the memory, and always: Linux waits without a limit. */
export const resourceMapBlob: Handler = (gpu, request, view) => {
  const resource = gpu.resources.get(ResourceMapBlob.resourceId.get(view, 0));
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  const offset = ResourceMapBlob.offset.get(view, 0);
  request.resource = resource;
  const { serial } = request;
  gpu.mappings.map(resource, offset, (status) => {
    if (request.serial !== serial) return;
    if (status !== VIRTIO_GPU_RESP_OK_NODATA) {
      gpu.finish(request, serial, status);
      return;
    }
    // Access bits that renderers add above the cache mode mean nothing to a guest.
    putMapInfo(request, (resource.host?.mapInfo ?? 0) & VIRTIO_GPU_MAP_CACHE_MASK);
    gpu.finish(request, serial, VIRTIO_GPU_RESP_OK_MAP_INFO);
  });
  return PENDING;
};

/** Gives a request the reply of a mapping that is there. */
export function putMapInfo(request: Request, mapInfo: number): void {
  RespMapInfo.mapInfo.set(makeReply(request, RespMapInfo.byteLength), 0, mapInfo);
}

/** RESOURCE_UNMAP_BLOB: answered when the guest does not see the memory any more. */
export const resourceUnmapBlob: Handler = (gpu, request, view) => {
  const resource = gpu.resources.get(ResourceUnref.resourceId.get(view, 0));
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  request.resource = resource;
  const { serial } = request;
  gpu.mappings.unmap(resource, (status) => gpu.finish(request, serial, status));
  return PENDING;
};
