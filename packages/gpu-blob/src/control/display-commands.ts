/** Outputs, EDID, scanouts and flushes (VIRTIO 1.3, 5.7.6.8). */

import { MAX_OUTPUT_PIXELS, putDisplayInfo } from '../display/outputs.ts';
import type { Box, Output } from '../display/sink.ts';
import { GetEdid, ResourceFlush, RespDisplayInfo, RespEdid, SetScanout, SetScanoutBlob } from '../protocol/layout.ts';
import {
  EDID_BUFFER_BYTES,
  MIN_SCANOUT,
  VIRTIO_GPU_F_EDID,
  VIRTIO_GPU_F_RESOURCE_BLOB,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
  VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
  VIRTIO_GPU_RESP_OK_EDID,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import { checkFramebuffer, type Framebuffer, partFits } from '../resources/pixels.ts';
import { type Gpu, type Handler, PENDING } from './gpu.ts';
import { makeReply } from './reply.ts';
import type { Request } from './request.ts';

/** GET_DISPLAY_INFO: what the display channel says, or the device's own outputs. */
export const getDisplayInfo: Handler = (gpu, request) => {
  const { sink } = gpu.displays;
  if (sink?.queryOutputs === undefined) return displayInfo(request, gpu.displays.outputs.list());
  const { serial } = request;
  sink.queryOutputs((outputs) => {
    if (request.serial !== serial) return;
    // A channel that ended meanwhile: the device's own outputs are better than none.
    gpu.finish(request, serial, displayInfo(request, outputs ?? gpu.displays.outputs.list()));
  });
  return PENDING;
};

function displayInfo(request: Request, outputs: readonly Output[]): number {
  putDisplayInfo(outputs, makeReply(request, RespDisplayInfo.byteLength), RespDisplayInfo.pmodes.offset);
  return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

export const getEdid: Handler = (gpu, request, view) => {
  const scanout = GetEdid.scanout.get(view, 0);
  if (!gpu.accepted.has(VIRTIO_GPU_F_EDID)) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  if (scanout >= gpu.displays.scanoutCount) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const { sink } = gpu.displays;
  if (sink?.queryEdid === undefined) return ownEdid(gpu, request, scanout);
  const { serial } = request;
  sink.queryEdid(scanout, (block) => {
    if (request.serial !== serial) return;
    gpu.finish(request, serial, block === null ? ownEdid(gpu, request, scanout) : edid(request, block));
  });
  return PENDING;
};

function ownEdid(gpu: Gpu, request: Request, scanout: number): number {
  if (scanout >= gpu.displays.outputs.numScanouts) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  return edid(request, gpu.displays.outputs.edid(scanout));
}

function edid(request: Request, block: Uint8Array): number {
  const size = Math.min(block.length, EDID_BUFFER_BYTES);
  const view = makeReply(request, RespEdid.byteLength);
  RespEdid.size.set(view, 0, size);
  request.reply!.set(block.subarray(0, size), RespEdid.edid.offset);
  return VIRTIO_GPU_RESP_OK_EDID;
}

/** SET_SCANOUT: shows a 2D or 3D resource; resource 0 switches the scanout off. */
export const setScanout: Handler = (gpu, _request, view) => {
  const scanout = SetScanout.scanoutId.get(view, 0);
  if (scanout >= gpu.displays.scanoutCount) return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
  const resourceId = SetScanout.resourceId.get(view, 0);
  if (resourceId === 0) {
    gpu.displays.scanouts.off(scanout);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }
  const resource = gpu.resources.get(resourceId);
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  const part = scanoutPart(view);
  if (!shown(part, resource.width, resource.height)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  gpu.displays.scanouts.show(scanout, resource, part, null);
  return VIRTIO_GPU_RESP_OK_NODATA;
};

/** SET_SCANOUT_BLOB: shows a framebuffer that lies in a blob. */
export const setScanoutBlob: Handler = (gpu, _request, view) => {
  const scanout = SetScanoutBlob.scanoutId.get(view, 0);
  if (!gpu.accepted.has(VIRTIO_GPU_F_RESOURCE_BLOB)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  if (scanout >= gpu.displays.scanoutCount) return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
  const resourceId = SetScanoutBlob.resourceId.get(view, 0);
  if (resourceId === 0) {
    gpu.displays.scanouts.off(scanout);
    return VIRTIO_GPU_RESP_OK_NODATA;
  }
  const resource = gpu.resources.get(resourceId);
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  if (resource.kind !== 'blob') return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const framebuffer: Framebuffer = {
    format: SetScanoutBlob.format.get(view, 0),
    width: SetScanoutBlob.fbWidth.get(view, 0),
    height: SetScanoutBlob.fbHeight.get(view, 0),
    stride: SetScanoutBlob.strides.get(view, 0, 0),
    offset: SetScanoutBlob.offsets.get(view, 0, 0),
  };
  const part = scanoutPart(view);
  if (!shown(part, framebuffer.width, framebuffer.height)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  const status = checkFramebuffer(resource, framebuffer);
  if (status !== VIRTIO_GPU_RESP_OK_NODATA) return status;
  gpu.displays.scanouts.show(scanout, resource, part, framebuffer);
  return VIRTIO_GPU_RESP_OK_NODATA;
};

/** RESOURCE_FLUSH: answered when no display reads the pixels any more; until then no further command is taken. */
export const resourceFlush: Handler = (gpu, request, view) => {
  const resource = gpu.resources.get(ResourceFlush.resourceId.get(view, 0));
  if (resource === undefined) return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
  const part: Box = {
    x: ResourceFlush.x.get(view, 0),
    y: ResourceFlush.y.get(view, 0),
    width: ResourceFlush.width.get(view, 0),
    height: ResourceFlush.height.get(view, 0),
  };
  if (resource.kind !== 'blob') {
    if (!partFits(part, resource.width, resource.height)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    if (resource.kind === '2d' && resource.backing === null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
  const { serial } = request;
  let over = false;
  let release: (() => void) | null = null;
  const read = gpu.displays.scanouts.flush(resource, part, () => {
    over = true;
    if (release === null) return;
    release();
    gpu.finish(request, serial, VIRTIO_GPU_RESP_OK_NODATA);
  });
  if (!over) {
    release = gpu.hold();
    return PENDING;
  }
  return read ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC;
};

/** The rectangle of SET_SCANOUT and SET_SCANOUT_BLOB: both have it in one place. */
function scanoutPart(view: DataView): Box {
  return {
    x: SetScanout.x.get(view, 0),
    y: SetScanout.y.get(view, 0),
    width: SetScanout.width.get(view, 0),
    height: SetScanout.height.get(view, 0),
  };
}

/** True for a part that a scanout may show: what an output can have, since displays keep a picture of that size. */
function shown(part: Box, width: number, height: number): boolean {
  const least = Math.min(part.width, part.height);
  const most = Math.max(part.width, part.height);
  return least >= MIN_SCANOUT && most <= MAX_OUTPUT_PIXELS && partFits(part, width, height);
}
