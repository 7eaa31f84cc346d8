/** The commands of the control queue: how long each is at least, and who handles it. */
import {
  CmdSubmit,
  CtrlHdr,
  CtxCreate,
  GetCapset,
  GetCapsetInfo,
  GetEdid,
  ResourceAttachBacking,
  ResourceCreate2d,
  ResourceCreate3d,
  ResourceCreateBlob,
  ResourceFlush,
  ResourceMapBlob,
  ResourceUnref,
  SetScanout,
  SetScanoutBlob,
  TransferHost3d,
  TransferToHost2d,
} from '../protocol/layout.ts';
import * as values from '../protocol/values.ts';
import { resourceCreateBlob, resourceMapBlob, resourceUnmapBlob } from './blob-commands.ts';
import {
  ctxAttachResource,
  ctxCreate,
  ctxDestroy,
  ctxDetachResource,
  getCapset,
  getCapsetInfo,
  submit3d,
} from './context-commands.ts';
import { getDisplayInfo, getEdid, resourceFlush, setScanout, setScanoutBlob } from './display-commands.ts';
import type { Handler } from './gpu.ts';
import {
  resourceAssignUuid,
  resourceAttachBacking,
  resourceCreate2d,
  resourceCreate3d,
  resourceDetachBacking,
  resourceUnref,
  transfer3d,
  transferToHost2D,
} from './resource-commands.ts';

/** One command. */
export interface Command {
  /** The specification's name, without VIRTIO_GPU_CMD_. */
  readonly name: string;
  /** Bytes of its fixed part, header included. */
  readonly length: number;
  readonly handle: Handler;
}

const table = new Map<number, Command>();

function add(type: number, name: string, length: number, handle: Handler): void {
  table.set(type, { name, length, handle });
}

add(values.VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 'GET_DISPLAY_INFO', CtrlHdr.byteLength, getDisplayInfo);
add(values.VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, 'RESOURCE_CREATE_2D', ResourceCreate2d.byteLength, resourceCreate2d);
add(values.VIRTIO_GPU_CMD_RESOURCE_UNREF, 'RESOURCE_UNREF', ResourceUnref.byteLength, resourceUnref);
add(values.VIRTIO_GPU_CMD_SET_SCANOUT, 'SET_SCANOUT', SetScanout.byteLength, setScanout);
add(values.VIRTIO_GPU_CMD_RESOURCE_FLUSH, 'RESOURCE_FLUSH', ResourceFlush.byteLength, resourceFlush);
add(values.VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, 'TRANSFER_TO_HOST_2D', TransferToHost2d.byteLength, transferToHost2D);
add(
  values.VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
  'RESOURCE_ATTACH_BACKING',
  ResourceAttachBacking.byteLength,
  resourceAttachBacking,
);
add(
  values.VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
  'RESOURCE_DETACH_BACKING',
  ResourceUnref.byteLength,
  resourceDetachBacking,
);
add(values.VIRTIO_GPU_CMD_GET_CAPSET_INFO, 'GET_CAPSET_INFO', GetCapsetInfo.byteLength, getCapsetInfo);
add(values.VIRTIO_GPU_CMD_GET_CAPSET, 'GET_CAPSET', GetCapset.byteLength, getCapset);
add(values.VIRTIO_GPU_CMD_GET_EDID, 'GET_EDID', GetEdid.byteLength, getEdid);
add(values.VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 'RESOURCE_ASSIGN_UUID', ResourceUnref.byteLength, resourceAssignUuid);
add(
  values.VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
  'RESOURCE_CREATE_BLOB',
  ResourceCreateBlob.byteLength,
  resourceCreateBlob,
);
add(values.VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, 'SET_SCANOUT_BLOB', SetScanoutBlob.byteLength, setScanoutBlob);
add(values.VIRTIO_GPU_CMD_CTX_CREATE, 'CTX_CREATE', CtxCreate.byteLength, ctxCreate);
add(values.VIRTIO_GPU_CMD_CTX_DESTROY, 'CTX_DESTROY', CtrlHdr.byteLength, ctxDestroy);
add(values.VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 'CTX_ATTACH_RESOURCE', ResourceUnref.byteLength, ctxAttachResource);
add(values.VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 'CTX_DETACH_RESOURCE', ResourceUnref.byteLength, ctxDetachResource);
add(values.VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 'RESOURCE_CREATE_3D', ResourceCreate3d.byteLength, resourceCreate3d);
add(values.VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 'TRANSFER_TO_HOST_3D', TransferHost3d.byteLength, transfer3d);
add(values.VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 'TRANSFER_FROM_HOST_3D', TransferHost3d.byteLength, transfer3d);
add(values.VIRTIO_GPU_CMD_SUBMIT_3D, 'SUBMIT_3D', CmdSubmit.byteLength, submit3d);
add(values.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, 'RESOURCE_MAP_BLOB', ResourceMapBlob.byteLength, resourceMapBlob);
add(values.VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, 'RESOURCE_UNMAP_BLOB', ResourceUnref.byteLength, resourceUnmapBlob);

/** Commands of the control queue by type. */
export const COMMANDS: ReadonlyMap<number, Command> = table;
