/**
 * The driver's side of virtio-gpu, for tests: requests as bytes and replies as objects.
 * @packageDocumentation
 */
export {
  type AttachBackingFields,
  type Create2dFields,
  type CursorFields,
  encodeAttachBacking,
  encodeDetachBacking,
  encodeEntries,
  encodeGetDisplayInfo,
  encodeGetEdid,
  encodeMoveCursor,
  encodeResourceCreate2d,
  encodeResourceFlush,
  encodeResourceUnref,
  encodeSetScanout,
  encodeSetScanoutBlob,
  encodeTransferToHost2d,
  encodeUpdateCursor,
  type FlushFields,
  type GuestPiece,
  type SetScanoutBlobFields,
  type SetScanoutFields,
  type TransferFields,
} from './commands-2d.ts';
export {
  type Create3dFields,
  type CtxCreateFields,
  encodeCtxAttachResource,
  encodeCtxCreate,
  encodeCtxDestroy,
  encodeCtxDetachResource,
  encodeGetCapset,
  encodeGetCapsetInfo,
  encodeResourceCreate3d,
  encodeSubmit3d,
  encodeTransferFromHost3d,
  encodeTransferToHost3d,
  type Transfer3dFields,
} from './commands-3d.ts';
export {
  type CreateBlobFields,
  encodeResourceAssignUuid,
  encodeResourceCreateBlob,
  encodeResourceMapBlob,
  encodeResourceUnmapBlob,
  type MapBlobFields,
} from './commands-blob.ts';
export { encodeRequest, type GpuFence, type GpuFields, type GpuHeader, type Parts64 } from './encode.ts';
export {
  type CapsetInfoReply,
  type CapsetReply,
  type DisplayInfoReply,
  decodeReply,
  type EdidReply,
  type GpuReply,
  type MapInfoReply,
  type ReplyHeader,
  replySize,
  type StatusReply,
  typeOf,
  type UuidReply,
} from './replies.ts';
