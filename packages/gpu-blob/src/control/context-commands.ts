/** Capsets, contexts and SUBMIT_3D (VIRTIO 1.3, 5.7.6.8). */
import {
  CmdSubmit,
  CtrlHdr,
  CtxCreate,
  GetCapset,
  GetCapsetInfo,
  ResourceUnref,
  RespCapsetInfo,
} from '../protocol/layout.ts';
import {
  DEBUG_NAME_BYTES,
  VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK,
  VIRTIO_GPU_F_CONTEXT_INIT,
  VIRTIO_GPU_F_VIRGL,
  VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_CAPSET,
  VIRTIO_GPU_RESP_OK_CAPSET_INFO,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import { type Gpu, type Handler, PENDING } from './gpu.ts';
import { makeReply } from './reply.ts';

const decoder = new TextDecoder();

/** GET_CAPSET_INFO: an index beyond the last gives zeros, as QEMU's device does. */
export const getCapsetInfo: Handler = (gpu, request, view) => {
  const type = gpu.capsets.byIndex(GetCapsetInfo.capsetIndex.get(view, 0));
  const reply = makeReply(request, RespCapsetInfo.byteLength);
  if (type !== null) {
    RespCapsetInfo.capsetId.set(reply, 0, type.capsetId);
    RespCapsetInfo.capsetMaxVersion.set(reply, 0, type.maxVersion);
    RespCapsetInfo.capsetMaxSize.set(reply, 0, type.capset.length);
  }
  return VIRTIO_GPU_RESP_OK_CAPSET_INFO;
};

export const getCapset: Handler = (gpu, request, view) => {
  const capsetId = GetCapset.capsetId.get(view, 0);
  const type = capsetId === 0 ? null : gpu.capsets.byId(capsetId);
  if (type === null || GetCapset.capsetVersion.get(view, 0) > type.maxVersion) {
    return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  }
  makeReply(request, CtrlHdr.byteLength + type.capset.length);
  request.reply!.set(type.capset, CtrlHdr.byteLength);
  return VIRTIO_GPU_RESP_OK_CAPSET;
};

export const ctxCreate: Handler = (gpu, request, view) => {
  if (!gpu.accepted.has(VIRTIO_GPU_F_VIRGL)) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  const nlen = CtxCreate.nlen.get(view, 0);
  const init = CtxCreate.contextInit.get(view, 0);
  const capsetId = init & VIRTIO_GPU_CONTEXT_INIT_CAPSET_ID_MASK;
  const wrong =
    nlen > DEBUG_NAME_BYTES || init !== capsetId || (init !== 0 && !gpu.accepted.has(VIRTIO_GPU_F_CONTEXT_INIT));
  if (wrong) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const { offset } = CtxCreate.debugName;
  const name = decoder.decode(gpu.buffer.bytes.subarray(offset, offset + nlen));
  return gpu.contexts.create(gpu.host, request.ctxId, capsetId, name, gpu.remaking !== null);
};

export const ctxDestroy: Handler = (gpu, request) => {
  const status = gpu.contexts.destroy(request.ctxId);
  if (status === VIRTIO_GPU_RESP_OK_NODATA) gpu.contextGone(request.ctxId);
  return status;
};

export const ctxAttachResource: Handler = (gpu, request, view) => {
  if (gpu.contexts.get(request.ctxId) === null) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
  const resource = gpu.resources.get(ResourceUnref.resourceId.get(view, 0));
  return resource === undefined
    ? VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID
    : gpu.contexts.attach(request.ctxId, resource);
};

export const ctxDetachResource: Handler = (gpu, request, view) => {
  const resourceId = ResourceUnref.resourceId.get(view, 0);
  if (gpu.contexts.get(request.ctxId) === null) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
  if (gpu.resources.get(resourceId) === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  return gpu.contexts.detach(request.ctxId, resourceId);
};

/** SUBMIT_3D: `size` says exactly how many bytes of commands follow. */
export const submit3d: Handler = (gpu: Gpu, request, view) => {
  const context = gpu.contexts.get(request.ctxId);
  if (context === null) return VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID;
  const start = CmdSubmit.byteLength;
  if (CmdSubmit.size.get(view, 0) !== request.length - start) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const { serial } = request;
  request.inContext = true;
  context.submit(gpu.buffer.bytes.subarray(start, request.length), (status) => gpu.finish(request, serial, status));
  return PENDING;
};
