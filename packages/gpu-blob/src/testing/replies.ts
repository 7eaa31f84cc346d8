/** Replies as objects, and the room that a driver leaves for them. */
import type { Output } from '../display/sink.ts';
import * as L from '../protocol/layout.ts';
import * as V from '../protocol/values.ts';

/** The header of a reply. */
export interface ReplyHeader {
  readonly flags: number;
  readonly fenceIdLo: number;
  readonly fenceIdHi: number;
  readonly ctxId: number;
  readonly ringIdx: number;
}

export interface DisplayInfoReply extends ReplyHeader {
  readonly type: typeof V.VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
  /** All 16. */
  readonly outputs: readonly Output[];
}

export interface CapsetInfoReply extends ReplyHeader {
  readonly type: typeof V.VIRTIO_GPU_RESP_OK_CAPSET_INFO;
  readonly capsetId: number;
  readonly maxVersion: number;
  /** Bytes. */
  readonly maxSize: number;
}

export interface CapsetReply extends ReplyHeader {
  readonly type: typeof V.VIRTIO_GPU_RESP_OK_CAPSET;
  readonly data: Uint8Array;
}

export interface EdidReply extends ReplyHeader {
  readonly type: typeof V.VIRTIO_GPU_RESP_OK_EDID;
  /** The valid bytes. */
  readonly edid: Uint8Array;
}

export interface UuidReply extends ReplyHeader {
  readonly type: typeof V.VIRTIO_GPU_RESP_OK_RESOURCE_UUID;
  readonly uuid: Uint8Array;
}

export interface MapInfoReply extends ReplyHeader {
  readonly type: typeof V.VIRTIO_GPU_RESP_OK_MAP_INFO;
  readonly mapInfo: number;
}

/** OK_NODATA or an error. */
export interface StatusReply extends ReplyHeader {
  readonly type: V.GpuStatus;
}

/** Told apart by `type`. */
export type GpuReply =
  | StatusReply
  | DisplayInfoReply
  | CapsetInfoReply
  | CapsetReply
  | EdidReply
  | UuidReply
  | MapInfoReply;

const HEADER = L.CtrlHdr.byteLength;

/** Bytes of the longest reply to a command: errors and OK_NODATA are a header. */
export function replySize(commandType: number, capsetSize = 0): number {
  switch (commandType) {
    case V.VIRTIO_GPU_CMD_GET_DISPLAY_INFO:
      return L.RespDisplayInfo.byteLength;
    case V.VIRTIO_GPU_CMD_GET_CAPSET_INFO:
      return L.RespCapsetInfo.byteLength;
    case V.VIRTIO_GPU_CMD_GET_CAPSET:
      return HEADER + capsetSize;
    case V.VIRTIO_GPU_CMD_GET_EDID:
      return L.RespEdid.byteLength;
    case V.VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID:
      return L.RespResourceUuid.byteLength;
    case V.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB:
      return L.RespMapInfo.byteLength;
    default:
      return HEADER;
  }
}

/** The type of a command or reply. */
export function typeOf(bytes: Uint8Array): number {
  return L.CtrlHdr.type.get(viewOf(bytes), 0);
}

/** @throws RangeError when the reply is of an unknown type or not as long as its type says */
export function decodeReply(bytes: Uint8Array): GpuReply {
  if (bytes.length < HEADER) throw new RangeError(`a reply of ${bytes.length} bytes, wanted at least ${HEADER}`);
  const view = viewOf(bytes);
  const header: ReplyHeader = {
    flags: L.CtrlHdr.flags.get(view, 0),
    fenceIdLo: L.CtrlHdr.fenceId.lo(view, 0),
    fenceIdHi: L.CtrlHdr.fenceId.hi(view, 0),
    ctxId: L.CtrlHdr.ctxId.get(view, 0),
    ringIdx: L.CtrlHdr.ringIdx.get(view, 0),
  };
  const type = L.CtrlHdr.type.get(view, 0);
  switch (type) {
    case V.VIRTIO_GPU_RESP_OK_DISPLAY_INFO:
      expectLength(bytes, L.RespDisplayInfo.byteLength, type);
      return { type, ...header, outputs: outputs(view) };
    case V.VIRTIO_GPU_RESP_OK_CAPSET_INFO:
      expectLength(bytes, L.RespCapsetInfo.byteLength, type);
      return {
        type,
        ...header,
        capsetId: L.RespCapsetInfo.capsetId.get(view, 0),
        maxVersion: L.RespCapsetInfo.capsetMaxVersion.get(view, 0),
        maxSize: L.RespCapsetInfo.capsetMaxSize.get(view, 0),
      };
    case V.VIRTIO_GPU_RESP_OK_CAPSET:
      return { type, ...header, data: bytes.slice(HEADER) };
    case V.VIRTIO_GPU_RESP_OK_EDID:
      expectLength(bytes, L.RespEdid.byteLength, type);
      return { type, ...header, edid: part(bytes, L.RespEdid.edid.offset, L.RespEdid.size.get(view, 0)) };
    case V.VIRTIO_GPU_RESP_OK_RESOURCE_UUID:
      expectLength(bytes, L.RespResourceUuid.byteLength, type);
      return { type, ...header, uuid: part(bytes, L.RespResourceUuid.uuid.offset, L.RespResourceUuid.uuid.size) };
    case V.VIRTIO_GPU_RESP_OK_MAP_INFO:
      expectLength(bytes, L.RespMapInfo.byteLength, type);
      return { type, ...header, mapInfo: L.RespMapInfo.mapInfo.get(view, 0) };
    default:
      if (!isStatus(type)) throw new RangeError(`a reply of type 0x${type.toString(16)}`);
      expectLength(bytes, HEADER, type);
      return { type, ...header };
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isStatus(type: number): type is V.GpuStatus {
  return (
    type === V.VIRTIO_GPU_RESP_OK_NODATA ||
    (type >= V.VIRTIO_GPU_RESP_ERR_UNSPEC && type <= V.VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER)
  );
}

function expectLength(bytes: Uint8Array, wanted: number, type: number): void {
  if (bytes.length === wanted) return;
  throw new RangeError(`a reply 0x${type.toString(16)} of ${bytes.length} bytes, wanted ${wanted}`);
}

function part(bytes: Uint8Array, offset: number, len: number): Uint8Array {
  if (len > bytes.length - offset) throw new RangeError(`${len} bytes at ${offset} of ${bytes.length}`);
  return bytes.slice(offset, offset + len);
}

function outputs(view: DataView): Output[] {
  return Array.from({ length: V.VIRTIO_GPU_MAX_SCANOUTS }, (_, index) => {
    const at = L.RespDisplayInfo.pmodes.offset + index * L.DisplayOne.byteLength;
    return {
      x: L.DisplayOne.x.get(view, at),
      y: L.DisplayOne.y.get(view, at),
      width: L.DisplayOne.width.get(view, at),
      height: L.DisplayOne.height.get(view, at),
      enabled: L.DisplayOne.enabled.get(view, at) !== 0,
    };
  });
}
