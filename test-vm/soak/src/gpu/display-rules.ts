/** The rules of pictures: 2D resources, transfers, scanouts, flushes. */
import {
  BYTES_PER_PIXEL,
  GetEdid,
  MIN_SCANOUT,
  ResourceAttachBacking,
  ResourceCreate2d,
  ResourceFlush,
  ResourceUnref,
  SetScanout,
  SetScanoutBlob,
  TransferToHost2d,
  VIRTIO_GPU_RESP_OK_EDID,
} from '@oriel/gpu-blob';
import { BUDGET, OUTPUTS } from './gpu-server.ts';
import type { GpuModel, ModelResource } from './model.ts';
import type { RequestView } from './request-view.ts';
import { BAD, change, NO_MEMORY, NO_RESOURCE, NO_SCANOUT, OK, plain, UNSPEC, type Verdict } from './verdict.ts';

const FORMATS = new Set([1, 2, 3, 4, 67, 68, 121, 134]);
const MOST_2D_BYTES = 2 ** 32;
const MOST_2D_PIXELS = 65536;
const PAGE = 4096;

/** The verdict of the budgets on a new resource: sure, or one that depends on what is still going. */
export function budgetVerdict(model: GpuModel, hostBytes: number): readonly number[] {
  const { sure, atBest } = model.room();
  const free = BUDGET.maxResources - model.resources.size;
  if (hostBytes > atBest || free <= 0) return [NO_MEMORY];
  return hostBytes > sure || free - model.leavingResources <= 0 ? [OK, NO_MEMORY] : [OK];
}

export function create2d(model: GpuModel, request: RequestView): Verdict {
  const id = request.get(ResourceCreate2d.resourceId);
  const width = request.get(ResourceCreate2d.width);
  const height = request.get(ResourceCreate2d.height);
  if (id === 0 || model.resources.has(id)) return plain(NO_RESOURCE);
  const bytes = width * height * BYTES_PER_PIXEL;
  const badSize = bytes === 0 || bytes > MOST_2D_BYTES || Math.max(width, height) > MOST_2D_PIXELS;
  if (badSize || !FORMATS.has(request.get(ResourceCreate2d.format))) return plain(BAD);
  const hostBytes = Math.ceil(bytes / PAGE) * PAGE;
  return change(budgetVerdict(model, hostBytes), OK, () => {
    const still = { backing: -1, offset: -1, failed: false, foreign: false };
    model.add(id, { kind: '2d', width, height, size: 0, mappable: false, hostBytes, object: null, ...still });
  });
}

export function attachBacking(model: GpuModel, request: RequestView): Verdict {
  const resource = model.resources.get(request.get(ResourceAttachBacking.resourceId));
  if (resource === undefined) return plain(NO_RESOURCE);
  if (resource.backing >= 0) return plain(UNSPEC);
  const { valid, size } = request.pages(ResourceAttachBacking.byteLength, request.get(ResourceAttachBacking.nrEntries));
  if (valid === false) return plain(UNSPEC);
  const sure = size < resource.size ? BAD : OK;
  return change(valid === null ? [sure, UNSPEC] : [sure], OK, () => {
    resource.backing = size;
    resource.foreign = valid === null;
  });
}

export function detachBacking(model: GpuModel, request: RequestView): Verdict {
  const resource = model.resources.get(request.get(ResourceUnref.resourceId));
  if (resource === undefined) return plain(NO_RESOURCE);
  if (resource.backing < 0) return plain(UNSPEC);
  return change([OK], OK, () => {
    resource.backing = -1;
  });
}

export function transfer2d(model: GpuModel, request: RequestView): Verdict {
  const resource = model.resources.get(request.get(TransferToHost2d.resourceId));
  if (resource === undefined) return plain(NO_RESOURCE);
  if (resource.kind === 'blob') return plain(OK);
  if (resource.backing < 0) return plain(UNSPEC);
  const [x, y] = [request.get(TransferToHost2d.x), request.get(TransferToHost2d.y)];
  const [width, height] = [request.get(TransferToHost2d.width), request.get(TransferToHost2d.height)];
  if (x + width > resource.width || y + height > resource.height) return plain(BAD);
  if (width === 0 || height === 0) return plain(OK);
  const last = (resource.width * (height - 1) + width) * BYTES_PER_PIXEL;
  if (request.get(TransferToHost2d.offset) + last > resource.backing) return plain(BAD);
  return resource.foreign ? plain(OK, UNSPEC) : plain(OK);
}

function fits(request: RequestView, width: number, height: number): boolean {
  return (
    request.get(SetScanout.x) + request.get(SetScanout.width) <= width &&
    request.get(SetScanout.y) + request.get(SetScanout.height) <= height
  );
}

function shown(request: RequestView, width: number, height: number): boolean {
  const large = request.get(SetScanout.width) >= MIN_SCANOUT && request.get(SetScanout.height) >= MIN_SCANOUT;
  return large && fits(request, width, height);
}

export function setScanout(model: GpuModel, request: RequestView): Verdict {
  if (request.get(SetScanout.scanoutId) >= OUTPUTS.length) return plain(NO_SCANOUT);
  const id = request.get(SetScanout.resourceId);
  if (id === 0) return plain(OK);
  const resource = model.resources.get(id);
  if (resource === undefined) return plain(NO_RESOURCE);
  return plain(shown(request, resource.width, resource.height) ? OK : BAD);
}

export function setScanoutBlob(model: GpuModel, request: RequestView): Verdict {
  if (request.get(SetScanoutBlob.scanoutId) >= OUTPUTS.length) return plain(NO_SCANOUT);
  const id = request.get(SetScanoutBlob.resourceId);
  if (id === 0) return plain(OK);
  const resource = model.resources.get(id);
  if (resource === undefined) return plain(NO_RESOURCE);
  const [width, height] = [request.get(SetScanoutBlob.fbWidth), request.get(SetScanoutBlob.fbHeight)];
  if (resource.kind !== 'blob' || !shown(request, width, height)) return plain(BAD);
  return plain(framebuffer(resource, request, width, height));
}

function framebuffer(resource: ModelResource, request: RequestView, width: number, height: number): number {
  const stride = request.word(SetScanoutBlob.strides.offset);
  const rowBytes = width * BYTES_PER_PIXEL;
  const format = request.get(SetScanoutBlob.format);
  if (!FORMATS.has(format) || width === 0 || height === 0 || stride < rowBytes) return BAD;
  const end = request.word(SetScanoutBlob.offsets.offset) + stride * (height - 1) + rowBytes;
  if (end > resource.size) return BAD;
  return resource.object === null && resource.backing < 0 ? UNSPEC : OK;
}

export function flush(model: GpuModel, request: RequestView): Verdict {
  const resource = model.resources.get(request.get(ResourceFlush.resourceId));
  if (resource === undefined) return plain(NO_RESOURCE);
  // Whether pixels can be read depends on what is shown: the sink checks that.
  if (resource.kind === 'blob') return plain(OK, UNSPEC);
  if (!fits(request, resource.width, resource.height)) return plain(BAD);
  return plain(resource.backing < 0 ? UNSPEC : OK);
}

export function getEdid(request: RequestView): Verdict {
  return plain(request.get(GetEdid.scanout) >= OUTPUTS.length ? BAD : VIRTIO_GPU_RESP_OK_EDID);
}
