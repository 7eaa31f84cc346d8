/** The commands of blobs and of the host-visible region as bytes. */
import * as L from '../protocol/layout.ts';
import * as V from '../protocol/values.ts';
import { encodeEntries, type GuestPiece } from './commands-2d.ts';
import { encodeRequest, type GpuHeader, type Parts64 } from './encode.ts';

export interface CreateBlobFields {
  readonly resourceId: number;
  /** VIRTIO_GPU_BLOB_MEM_*. */
  readonly blobMem: number;
  /** VIRTIO_GPU_BLOB_FLAG_USE_*; default mappable. */
  readonly blobFlags?: number;
  /** Default 0. */
  readonly blobId?: number | Parts64;
  /** Bytes. */
  readonly size: number | Parts64;
  /** Guest pages; default none. */
  readonly entries?: readonly GuestPiece[];
  /** Default as many as there are. */
  readonly nrEntries?: number;
}

export function encodeResourceCreateBlob(fields: CreateBlobFields, header?: GpuHeader): Uint8Array {
  const { entries = [], resourceId, blobMem, size, blobId = 0 } = fields;
  const { nrEntries = entries.length, blobFlags = V.VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE } = fields;
  const values = { resourceId, blobMem, blobFlags, nrEntries, blobId, size };
  const type = V.VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB;
  return encodeRequest(type, L.ResourceCreateBlob, values, header, encodeEntries(entries));
}

/** `offset`: bytes in the host-visible region. */
export interface MapBlobFields {
  readonly resourceId: number;
  readonly offset: number | Parts64;
}

export function encodeResourceMapBlob(fields: MapBlobFields, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, L.ResourceMapBlob, { ...fields }, header);
}

export function encodeResourceUnmapBlob(resourceId: number, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, L.ResourceUnref, { resourceId }, header);
}

export function encodeResourceAssignUuid(resourceId: number, header?: GpuHeader): Uint8Array {
  return encodeRequest(V.VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, L.ResourceUnref, { resourceId }, header);
}
