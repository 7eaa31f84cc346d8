/** The commands of capsets, contexts and 3D resources as bytes. The context is the header's. */
import * as L from '../protocol/layout.ts';
import * as V from '../protocol/values.ts';
import { encodeRequest, type GpuHeader } from './encode.ts';

export function encodeGetCapsetInfo(capsetIndex: number, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_GET_CAPSET_INFO, L.GetCapsetInfo, { capsetIndex }, header);
}

export function encodeGetCapset(capsetId: number, capsetVersion: number, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_GET_CAPSET, L.GetCapset, { capsetId, capsetVersion }, header);
}

export interface CtxCreateFields {
  /** The capset id; default 0: the device chooses. */
  readonly contextInit?: number;
  /** At most 64 bytes of UTF-8; default ''. */
  readonly debugName?: string;
  /** Default the bytes of the name. */
  readonly nlen?: number;
}

export function encodeCtxCreate(fields: CtxCreateFields, header: GpuHeader): Uint8Array {
  const { contextInit = 0, debugName = '' } = fields;
  const name = new TextEncoder().encode(debugName);
  const values = { nlen: fields.nlen ?? name.length, contextInit, debugName: name };
  return encodeRequest(V.VIRTIO_GPU_CMD_CTX_CREATE, L.CtxCreate, values, header);
}

export function encodeCtxDestroy(header: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_CTX_DESTROY, L.CtrlHdr, {}, header);
}

export function encodeCtxAttachResource(resourceId: number, header: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, L.ResourceUnref, { resourceId }, header);
}

export function encodeCtxDetachResource(resourceId: number, header: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, L.ResourceUnref, { resourceId }, header);
}

/** @param size - what the header claims; default the bytes of the commands */
export function encodeSubmit3d(commands: Uint8Array, header: GpuHeader, size = commands.length): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_SUBMIT_3D, L.CmdSubmit, { size }, header, commands);
}

/** Fields that are absent are 0. */
export interface Create3dFields {
  readonly resourceId: number;
  readonly target?: number;
  readonly format: number;
  readonly bind?: number;
  readonly width: number;
  readonly height: number;
  readonly depth?: number;
  readonly arraySize?: number;
  readonly lastLevel?: number;
  readonly nrSamples?: number;
  readonly resourceFlags?: number;
}

export function encodeResourceCreate3d(fields: Create3dFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, L.ResourceCreate3d, { ...fields }, header);
}

/** Fields that are absent are 0. */
export interface Transfer3dFields {
  readonly resourceId: number;
  readonly x?: number;
  readonly y?: number;
  readonly z?: number;
  readonly w: number;
  readonly h: number;
  readonly d: number;
  /** Bytes into the guest pages. */
  readonly offset?: number;
  readonly level?: number;
  readonly stride?: number;
  readonly layerStride?: number;
}

export function encodeTransferToHost3d(fields: Transfer3dFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, L.TransferHost3d, { ...fields }, header);
}

export function encodeTransferFromHost3d(fields: Transfer3dFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, L.TransferHost3d, { ...fields }, header);
}
