/** The rules of the control queue: what each command must be answered, from virtio-gpu's tables and the book. */
import * as G from '@oriel/gpu-blob';
import * as blobs from './blob-rules.ts';
import * as contexts from './context-rules.ts';
import * as displays from './display-rules.ts';
import type { GpuModel } from './model.ts';
import type { RequestView } from './request-view.ts';
import { BAD, NO_RESOURCE, plain, UNSPEC, type Verdict } from './verdict.ts';

interface Rule {
  readonly name: string;
  /** Bytes of the fixed part. */
  readonly length: number;
  readonly judge: (model: GpuModel, request: RequestView, facts: blobs.BatchFacts) => Verdict;
}

const rules = new Map<number, Rule>();

function rule(type: number, name: string, layout: { readonly byteLength: number }, judge: Rule['judge']): void {
  rules.set(type, { name, length: layout.byteLength, judge });
}

const uuid: Rule['judge'] = (model, request) => {
  const known = model.resources.has(request.get(G.ResourceUnref.resourceId));
  return plain(known ? G.VIRTIO_GPU_RESP_OK_RESOURCE_UUID : NO_RESOURCE);
};
const edid: Rule['judge'] = (_, request) => displays.getEdid(request);
const capset: Rule['judge'] = (_, request) => contexts.getCapset(request);

rule(G.VIRTIO_GPU_CMD_GET_DISPLAY_INFO, 'display info', G.CtrlHdr, () => plain(G.VIRTIO_GPU_RESP_OK_DISPLAY_INFO));
rule(G.VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, 'create 2d', G.ResourceCreate2d, displays.create2d);
rule(G.VIRTIO_GPU_CMD_RESOURCE_UNREF, 'unref', G.ResourceUnref, blobs.unref);
rule(G.VIRTIO_GPU_CMD_SET_SCANOUT, 'scanout', G.SetScanout, displays.setScanout);
rule(G.VIRTIO_GPU_CMD_RESOURCE_FLUSH, 'flush', G.ResourceFlush, displays.flush);
rule(G.VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, 'transfer', G.TransferToHost2d, displays.transfer2d);
rule(G.VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, 'attach pages', G.ResourceAttachBacking, displays.attachBacking);
rule(G.VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 'detach pages', G.ResourceUnref, displays.detachBacking);
rule(G.VIRTIO_GPU_CMD_GET_CAPSET_INFO, 'capset info', G.GetCapsetInfo, () => plain(G.VIRTIO_GPU_RESP_OK_CAPSET_INFO));
rule(G.VIRTIO_GPU_CMD_GET_CAPSET, 'capset', G.GetCapset, capset);
rule(G.VIRTIO_GPU_CMD_GET_EDID, 'edid', G.GetEdid, edid);
rule(G.VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID, 'uuid', G.ResourceUnref, uuid);
rule(G.VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, 'create blob', G.ResourceCreateBlob, blobs.createBlob);
rule(G.VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, 'scanout blob', G.SetScanoutBlob, displays.setScanoutBlob);
rule(G.VIRTIO_GPU_CMD_CTX_CREATE, 'context', G.CtxCreate, contexts.ctxCreate);
rule(G.VIRTIO_GPU_CMD_CTX_DESTROY, 'end context', G.CtrlHdr, contexts.ctxDestroy);
rule(G.VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 'attach', G.ResourceUnref, contexts.ctxResource);
rule(G.VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 'detach', G.ResourceUnref, contexts.ctxResource);
rule(G.VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 'create 3d', G.ResourceCreate3d, () => plain(UNSPEC));
rule(G.VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 'transfer 3d', G.TransferHost3d, contexts.transfer3d);
rule(G.VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 'transfer 3d', G.TransferHost3d, contexts.transfer3d);
rule(G.VIRTIO_GPU_CMD_SUBMIT_3D, 'submit', G.CmdSubmit, contexts.submit);
rule(G.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, 'map', G.ResourceMapBlob, blobs.mapBlob);
rule(G.VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, 'unmap', G.ResourceUnref, blobs.unmapBlob);

/** The names of `nameOf`. */
export const COMMAND_NAMES: readonly string[] = [...new Set([...rules.values()].map(({ name }) => name))];

/** What a command is called in the tally. */
export function nameOf(request: RequestView): string {
  return rules.get(request.type)?.name ?? 'unknown';
}

/** The replies that are right for the next command. */
export function judge(model: GpuModel, request: RequestView, facts: blobs.BatchFacts): Verdict {
  const found = rules.get(request.type);
  if (found === undefined || request.bytes.length < found.length) return plain(UNSPEC);
  if (request.fenced && request.badRing) return plain(BAD);
  return found.judge(model, request, facts);
}

/** Which resource a command maps, unmaps or ends; 0: none. */
export function mapsResource(request: RequestView): number {
  switch (request.type) {
    case G.VIRTIO_GPU_CMD_RESOURCE_UNREF:
    case G.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB:
    case G.VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB:
      return request.bytes.length >= G.ResourceUnref.byteLength ? request.get(G.ResourceUnref.resourceId) : 0;
    default:
      return 0;
  }
}
