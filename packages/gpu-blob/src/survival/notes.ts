/** What each command leaves in the journal when it was carried out. */
import type { Gpu } from '../control/gpu.ts';
import type { Request } from '../control/request.ts';
import {
  CtxCreate,
  ResourceAttachBacking,
  ResourceCreate2d,
  ResourceCreateBlob,
  ResourceUnref,
  SetScanout,
  SetScanoutBlob,
} from '../protocol/layout.ts';
import * as V from '../protocol/values.ts';
import { type Journal, MAP_REFUSED, MAP_THERE } from './journal.ts';

/** Stages what a command changed. The request is still in the buffer, unless it was answered late. */
type Note = (journal: Journal, gpu: Gpu, request: Request, view: DataView, status: number) => void;

/** A part of the command. */
function bytes(gpu: Gpu, start: number, end: number): Uint8Array {
  return gpu.buffer.bytes.subarray(start, end);
}

const resourceMade: Note = (journal, gpu, request, view) => {
  const resource = gpu.resources.get(ResourceUnref.resourceId.get(view, 0))!;
  const isBlob = request.type === V.VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB;
  const fixed = isBlob ? ResourceCreateBlob.byteLength : ResourceCreate2d.byteLength;
  const capsetId = resource.host === null ? 0 : (gpu.contexts.typeOf(request.ctxId)?.capsetId ?? 0);
  journal.resourceMade(resource, bytes(gpu, 0, fixed), capsetId);
  if (resource.backing !== null) journal.backingMade(resource, bytes(gpu, fixed, request.length));
};

const scanoutSet: Note = (journal, gpu, request, view) => {
  const isBlob = request.type === V.VIRTIO_GPU_CMD_SET_SCANOUT_BLOB;
  const resource = gpu.resources.get(SetScanout.resourceId.get(view, 0)) ?? null;
  const length = isBlob ? SetScanoutBlob.byteLength : SetScanout.byteLength;
  const serial = resource === null ? 0 : (journal.resource(resource)?.serial ?? 0);
  journal.displays.scanoutShows(SetScanout.scanoutId.get(view, 0), serial, bytes(gpu, 0, length));
};

/** Of a request that is answered late: its resource may have no id any more. */
const mapped: Note = (journal, gpu, { resource }, _view, status) => {
  if (resource === null) return;
  if (status === V.VIRTIO_GPU_RESP_OK_MAP_INFO) journal.mappingIs(resource, MAP_THERE);
  else if (!gpu.mappings.has(resource))
    journal.mappingIs(resource, gpu.mappings.refused(resource) ? MAP_REFUSED : null);
};

const gone: Note = (journal, _gpu, { resource }) => {
  if (resource !== null) journal.resourceGone(resource);
};

const NOTES: ReadonlyMap<number, Note> = new Map<number, Note>([
  [V.VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, resourceMade],
  [V.VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, resourceMade],
  [
    V.VIRTIO_GPU_CMD_RESOURCE_CREATE_3D,
    (journal, { renderer }) => journal.lose(`the resources of ${renderer!.name} cannot be kept`),
  ],
  [V.VIRTIO_GPU_CMD_RESOURCE_UNREF, gone],
  [
    V.VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
    (journal, gpu, { length }, view) => {
      const resource = gpu.resources.get(ResourceUnref.resourceId.get(view, 0))!;
      journal.backingMade(resource, bytes(gpu, ResourceAttachBacking.byteLength, length));
    },
  ],
  [
    V.VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
    (journal, gpu, _request, view) => journal.backingGone(gpu.resources.get(ResourceUnref.resourceId.get(view, 0))!),
  ],
  [
    V.VIRTIO_GPU_CMD_RESOURCE_ASSIGN_UUID,
    (journal, gpu, _request, view) => journal.uuidMade(gpu.resources.get(ResourceUnref.resourceId.get(view, 0))!),
  ],
  [V.VIRTIO_GPU_CMD_SET_SCANOUT, scanoutSet],
  [V.VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, scanoutSet],
  [
    V.VIRTIO_GPU_CMD_CTX_CREATE,
    (journal, gpu, { ctxId }) => journal.contextMade(ctxId, bytes(gpu, 0, CtxCreate.byteLength)),
  ],
  [V.VIRTIO_GPU_CMD_CTX_DESTROY, (journal, _gpu, { ctxId }) => journal.contextGone(ctxId)],
  [
    V.VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
    (journal, gpu, { ctxId }, view) =>
      journal.attached(ctxId, gpu.resources.get(ResourceUnref.resourceId.get(view, 0))!),
  ],
  [
    V.VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE,
    (journal, gpu, { ctxId }, view) =>
      journal.detached(ctxId, gpu.resources.get(ResourceUnref.resourceId.get(view, 0))!),
  ],
  [V.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB, mapped],
  [V.VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, mapped],
]);

/** Those that may change something although they are refused. */
const ALSO_REFUSED: ReadonlySet<number> = new Set([V.VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB]);

/**
 * A request of the control queue was carried out: what it changed and how it is answered count from now on. An answer that the
 * driver gets at once, of a request that changed nothing, is not noted: the request can be carried out again.
 */
export function noteFinished(journal: Journal, gpu: Gpu, request: Request, status: number): void {
  if (request.queueIndex !== V.CONTROL_QUEUE) return;
  if (status < V.VIRTIO_GPU_RESP_ERR_UNSPEC || ALSO_REFUSED.has(request.type)) {
    NOTES.get(request.type)?.(journal, gpu, request, gpu.buffer.view, status);
  }
  if (request.fenced || journal.records.staged) journal.answers.note(request, status);
  journal.commit();
}
