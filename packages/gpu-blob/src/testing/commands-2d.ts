/** The 2D, display and cursor commands as bytes. Names and units of the fields are those of the layouts. */
import type { Box } from '../display/sink.ts';
import * as L from '../protocol/layout.ts';
import * as V from '../protocol/values.ts';
import { encodeRequest, type GpuHeader } from './encode.ts';

/** Guest pages: a guest physical address and a length in bytes. */
export interface GuestPiece {
  readonly addr: number;
  readonly length: number;
}

/** Entries of `struct virtio_gpu_mem_entry`. */
export function encodeEntries(entries: readonly GuestPiece[]): Uint8Array {
  const size = L.MemEntry.byteLength;
  const bytes = new Uint8Array(entries.length * size);
  const view = new DataView(bytes.buffer);
  for (const [index, { addr, length }] of entries.entries()) {
    L.MemEntry.addr.set(view, index * size, addr);
    L.MemEntry.length.set(view, index * size, length);
  }
  return bytes;
}

export function encodeGetDisplayInfo(header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_GET_DISPLAY_INFO, L.CtrlHdr, {}, header);
}

export function encodeGetEdid(scanout: number, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_GET_EDID, L.GetEdid, { scanout }, header);
}

export interface Create2dFields {
  readonly resourceId: number;
  readonly format: number;
  readonly width: number;
  readonly height: number;
}

export function encodeResourceCreate2d(fields: Create2dFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, L.ResourceCreate2d, { ...fields }, header);
}

export function encodeResourceUnref(resourceId: number, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_RESOURCE_UNREF, L.ResourceUnref, { resourceId }, header);
}

/** `nrEntries`: default as many as there are. */
export interface AttachBackingFields {
  readonly resourceId: number;
  readonly entries: readonly GuestPiece[];
  readonly nrEntries?: number;
}

export function encodeAttachBacking(fields: AttachBackingFields, header?: GpuHeader): Uint8Array {
  const { resourceId, entries, nrEntries = entries.length } = fields;
  const tail = encodeEntries(entries);
  const type = V.VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING;
  return encodeRequest(type, L.ResourceAttachBacking, { resourceId, nrEntries }, header, tail);
}

export function encodeDetachBacking(resourceId: number, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, L.ResourceUnref, { resourceId }, header);
}

export interface TransferFields extends Box {
  readonly resourceId: number;
  /** Where in the backing the rectangle's first pixel lies, bytes. */
  readonly offset: number;
}

export function encodeTransferToHost2d(fields: TransferFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, L.TransferToHost2d, { ...fields }, header);
}

export interface FlushFields extends Box {
  readonly resourceId: number;
}

export function encodeResourceFlush(fields: FlushFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_RESOURCE_FLUSH, L.ResourceFlush, { ...fields }, header);
}

/** `resourceId` 0 switches the scanout off. */
export interface SetScanoutFields extends Box {
  readonly scanoutId: number;
  readonly resourceId: number;
}

export function encodeSetScanout(fields: SetScanoutFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_SET_SCANOUT, L.SetScanout, { ...fields }, header);
}

/** The framebuffer in a blob; the box is the part shown. `strides` and `offsets`: of up to four planes, bytes. */
export interface SetScanoutBlobFields extends SetScanoutFields {
  readonly fbWidth: number;
  readonly fbHeight: number;
  readonly format: number;
  readonly strides: readonly number[];
  readonly offsets?: readonly number[];
}

export function encodeSetScanoutBlob(fields: SetScanoutBlobFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, L.SetScanoutBlob, { ...fields }, header);
}

/** For the cursor queue. `resourceId` 0 hides the cursor; it and the hot spot are 0 by default. */
export interface CursorFields {
  readonly scanoutId: number;
  readonly x: number;
  readonly y: number;
  readonly resourceId?: number;
  readonly hotX?: number;
  readonly hotY?: number;
}

export function encodeUpdateCursor(fields: CursorFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_UPDATE_CURSOR, L.UpdateCursor, { ...fields }, header);
}

export function encodeMoveCursor(fields: CursorFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_MOVE_CURSOR, L.UpdateCursor, { ...fields }, header);
}
