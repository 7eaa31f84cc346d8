/** 2D and 3D resources, their backing and their transfers (VIRTIO 1.3, 5.7.6.8). */
import { randomBytes } from 'node:crypto';
import {
  MemEntry,
  ResourceAttachBacking,
  ResourceCreate2d,
  ResourceCreate3d,
  ResourceUnref,
  RespResourceUuid,
  TransferHost3d,
  TransferToHost2d,
} from '../protocol/layout.ts';
import {
  type GpuStatus,
  MAX_BACKING_ENTRIES,
  VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D,
  VIRTIO_GPU_F_RESOURCE_UUID,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
  VIRTIO_GPU_RESP_OK_RESOURCE_UUID,
} from '../protocol/values.ts';
import { Backing } from '../resources/backing.ts';
import type { Resource } from '../resources/resource.ts';
import { transferToHost2d } from '../resources/transfer-2d.ts';
import { type Gpu, type Handler, PENDING } from './gpu.ts';
import { makeReply } from './reply.ts';
import type { Request } from './request.ts';

const UUID_BYTES = 16;

export const resourceCreate2d: Handler = (gpu, _request, view) => {
  const file = gpu.remaking?.takeFile();
  // What a process before kept is lost.
  if (file === null) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
  return gpu.resources.create2d(
    ResourceCreate2d.resourceId.get(view, 0),
    ResourceCreate2d.format.get(view, 0),
    ResourceCreate2d.width.get(view, 0),
    ResourceCreate2d.height.get(view, 0),
    file,
  );
};

/** RESOURCE_CREATE_3D: the renderer's, where there is one. */
export const resourceCreate3d: Handler = (gpu, _request, view) => {
  const { renderer, resources } = gpu;
  if (renderer === null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  const resourceId = ResourceCreate3d.resourceId.get(view, 0);
  const status = resources.reserve(resourceId, 0);
  if (status !== VIRTIO_GPU_RESP_OK_NODATA) return status;
  const made = renderer.create({
    resourceId,
    target: ResourceCreate3d.target.get(view, 0),
    format: ResourceCreate3d.format.get(view, 0),
    bind: ResourceCreate3d.bind.get(view, 0),
    width: ResourceCreate3d.width.get(view, 0),
    height: ResourceCreate3d.height.get(view, 0),
    depth: ResourceCreate3d.depth.get(view, 0),
    arraySize: ResourceCreate3d.arraySize.get(view, 0),
    lastLevel: ResourceCreate3d.lastLevel.get(view, 0),
    nrSamples: ResourceCreate3d.nrSamples.get(view, 0),
    flags: ResourceCreate3d.resourceFlags.get(view, 0),
  });
  return typeof made === 'number' ? made : resources.add3d(resourceId, made);
};

/**
 * RESOURCE_UNREF: the id is free at once, scanouts that show it go off, contexts lose it. Answered when the guest does not
 * see its memory any more, since Linux gives the range in the window to another blob then.
 */
export const resourceUnref: Handler = (gpu, request, view) => {
  const resource = gpu.resources.remove(ResourceUnref.resourceId.get(view, 0));
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  gpu.displays.scanouts.forget(resource);
  gpu.contexts.forget(resource.id);
  return dropResource(gpu, request, resource);
};

/** Frees what has no id any more, once the guest does not see it. @returns OK, or PENDING */
export function dropResource(gpu: Gpu, request: Request, resource: Resource): number {
  request.resource = resource;
  const { serial } = request;
  let inCall = true;
  let over = false;
  gpu.mappings.drop(resource, () => {
    over = true;
    if (!inCall) gpu.finish(request, serial, VIRTIO_GPU_RESP_OK_NODATA);
  });
  inCall = false;
  return over ? VIRTIO_GPU_RESP_OK_NODATA : PENDING;
}

export const resourceAttachBacking: Handler = (gpu, request, view) => {
  const resource = gpu.resources.get(ResourceAttachBacking.resourceId.get(view, 0));
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  const count = ResourceAttachBacking.nrEntries.get(view, 0);
  if (resource.backing !== null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  const backing = readBacking(gpu, request.length, ResourceAttachBacking.byteLength, count);
  return backing === null ? VIRTIO_GPU_RESP_ERR_UNSPEC : resource.attach(backing);
};

export const resourceDetachBacking: Handler = (gpu, _request, view) =>
  gpu.resources.get(ResourceUnref.resourceId.get(view, 0))?.detach() ?? VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;

/**
 * The entries that follow a request's fixed part.
 * @param length - bytes of the whole request
 * @param start - bytes of its fixed part
 * @returns null when there are too many, too few of them came, or one does not lie in guest memory
 */
export function readBacking(gpu: Gpu, length: number, start: number, count: number): Backing | null {
  if (count > MAX_BACKING_ENTRIES || start + count * MemEntry.byteLength > length) return null;
  const { bytes } = gpu.buffer;
  const words = new Uint32Array(bytes.slice(start, start + count * MemEntry.byteLength).buffer);
  return Backing.of(gpu.host.memory, words, count);
}

export const transferToHost2D: Handler = (gpu, _request, view) => {
  const resource = gpu.resources.get(TransferToHost2d.resourceId.get(view, 0));
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  return transferToHost2d(
    resource,
    TransferToHost2d.x.get(view, 0),
    TransferToHost2d.y.get(view, 0),
    TransferToHost2d.width.get(view, 0),
    TransferToHost2d.height.get(view, 0),
    TransferToHost2d.offset.get(view, 0),
  );
};

/** TRANSFER_TO_HOST_3D and TRANSFER_FROM_HOST_3D. */
export const transfer3d: Handler = (gpu, request, view): GpuStatus => {
  const resource = gpu.resources.get(TransferHost3d.resourceId.get(view, 0));
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  if (request.ctxId !== 0 && gpu.contexts.get(request.ctxId) === null) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
  const { renderer, backing } = resource;
  if (renderer === null || backing === null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  const offset = TransferHost3d.offset.get(view, 0);
  if (!Number.isSafeInteger(offset)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const transfer = {
    ctxId: request.ctxId,
    x: TransferHost3d.x.get(view, 0),
    y: TransferHost3d.y.get(view, 0),
    z: TransferHost3d.z.get(view, 0),
    w: TransferHost3d.w.get(view, 0),
    h: TransferHost3d.h.get(view, 0),
    d: TransferHost3d.d.get(view, 0),
    offset,
    level: TransferHost3d.level.get(view, 0),
    stride: TransferHost3d.stride.get(view, 0),
    layerStride: TransferHost3d.layerStride.get(view, 0),
  };
  return request.type === VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D
    ? renderer.transferToHost(transfer, backing)
    : renderer.transferFromHost(transfer, backing);
};

/** RESOURCE_ASSIGN_UUID: a random (version 4) UUID, the same for each call. */
export const resourceAssignUuid: Handler = (gpu, request, view) => {
  if (!gpu.accepted.has(VIRTIO_GPU_F_RESOURCE_UUID)) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  const resource = gpu.resources.get(ResourceUnref.resourceId.get(view, 0));
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  resource.uuid ??= makeUuid();
  makeReply(request, RespResourceUuid.byteLength);
  request.reply!.set(resource.uuid, RespResourceUuid.uuid.offset);
  return VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
};

/** RFC 9562, 5.4. */
function makeUuid(): Uint8Array {
  const uuid = Uint8Array.from(randomBytes(UUID_BYTES));
  uuid[6] = (uuid[6]! & 0x0f) | 0x40;
  uuid[8] = (uuid[8]! & 0x3f) | 0x80;
  return uuid;
}
