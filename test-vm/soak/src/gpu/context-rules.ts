/** The rules of capsets, contexts and submits. */
import {
  CmdSubmit,
  CtxCreate,
  DEBUG_NAME_BYTES,
  GetCapset,
  MEMORY_CAPSET_ID,
  ResourceUnref,
  TransferHost3d,
  VIRTIO_GPU_RESP_OK_CAPSET,
} from '@oriel/gpu-blob';
import { BUDGET } from './gpu-server.ts';
import { HELD_CAPSET_ID, submitStatus } from './held-contexts.ts';
import type { GpuModel } from './model.ts';
import type { RequestView } from './request-view.ts';
import { BAD, change, NO_CONTEXT, NO_MEMORY, NO_RESOURCE, OK, plain, UNSPEC, type Verdict } from './verdict.ts';

/** Most versions by capset. */
const CAPSETS: ReadonlyMap<number, number> = new Map([
  [MEMORY_CAPSET_ID, 1],
  [HELD_CAPSET_ID, 2],
]);

export function getCapset(request: RequestView): Verdict {
  const most = CAPSETS.get(request.get(GetCapset.capsetId));
  const known = most !== undefined && request.get(GetCapset.capsetVersion) <= most;
  return plain(known ? VIRTIO_GPU_RESP_OK_CAPSET : BAD);
}

export function ctxCreate(model: GpuModel, request: RequestView): Verdict {
  const capset = request.get(CtxCreate.contextInit);
  if (request.get(CtxCreate.nlen) > DEBUG_NAME_BYTES || capset > 0xff) return plain(BAD);
  const { ctxId } = request;
  if (ctxId === 0 || model.contexts.has(ctxId)) return plain(NO_CONTEXT);
  if (capset !== 0 && !CAPSETS.has(capset)) return plain(BAD);
  if (model.contexts.size >= BUDGET.maxContexts) return plain(NO_MEMORY);
  return change([OK], OK, () => {
    model.contexts.set(ctxId, capset === HELD_CAPSET_ID ? 'held' : 'memory');
  });
}

export function ctxDestroy(model: GpuModel, request: RequestView): Verdict {
  const { ctxId } = request;
  if (!model.contexts.has(ctxId)) return plain(NO_CONTEXT);
  return change([OK], OK, () => {
    model.contexts.delete(ctxId);
  });
}

/** CTX_ATTACH_RESOURCE and CTX_DETACH_RESOURCE. */
export function ctxResource(model: GpuModel, request: RequestView): Verdict {
  if (!model.contexts.has(request.ctxId)) return plain(NO_CONTEXT);
  return plain(model.resources.has(request.get(ResourceUnref.resourceId)) ? OK : NO_RESOURCE);
}

export function submit(model: GpuModel, request: RequestView): Verdict {
  const context = model.contexts.get(request.ctxId);
  if (context === undefined) return plain(NO_CONTEXT);
  const commands = request.bytes.subarray(CmdSubmit.byteLength);
  if (request.get(CmdSubmit.size) !== commands.length) return plain(BAD);
  if (context === 'memory') return plain(commands.length === 0 ? OK : BAD);
  return plain(submitStatus(commands));
}

/** There is no renderer. */
export function transfer3d(model: GpuModel, request: RequestView): Verdict {
  if (!model.resources.has(request.get(TransferHost3d.resourceId))) return plain(NO_RESOURCE);
  return plain(request.ctxId !== 0 && !model.contexts.has(request.ctxId) ? NO_CONTEXT : UNSPEC);
}
