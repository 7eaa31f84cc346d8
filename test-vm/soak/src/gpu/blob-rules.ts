/** The rules of blobs and of the window. */
import {
  BLOB_FLAGS,
  ResourceCreateBlob,
  ResourceMapBlob,
  ResourceUnref,
  VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST,
  VIRTIO_GPU_RESP_OK_MAP_INFO,
} from '@oriel/gpu-blob';
import { budgetVerdict } from './display-rules.ts';
import { BUDGET } from './gpu-server.ts';
import { type GpuModel, type ModelObject, type ModelResource, mappedLen } from './model.ts';
import type { NamedPages, RequestView } from './request-view.ts';
import { BAD, change, NO_CONTEXT, NO_MEMORY, NO_RESOURCE, OK, plain, UNSPEC, type Verdict } from './verdict.ts';

const PAGE = 4096;
const OK_MAP = VIRTIO_GPU_RESP_OK_MAP_INFO;
const NO_PAGES: NamedPages = { valid: true, size: 0 };

/** What else the batch does. */
export interface BatchFacts {
  /** Resources that more than one command maps, unmaps or ends: their order of events is the front-end's. */
  readonly entangled: ReadonlySet<number>;
  /** The front-end refuses maps. */
  readonly refusing: boolean;
}

export function createBlob(model: GpuModel, request: RequestView): Verdict {
  const id = request.get(ResourceCreateBlob.resourceId);
  const blobMem = request.get(ResourceCreateBlob.blobMem);
  const flags = request.get(ResourceCreateBlob.blobFlags);
  const count = request.get(ResourceCreateBlob.nrEntries);
  const size = request.get(ResourceCreateBlob.size);
  const onHost = blobMem === VIRTIO_GPU_BLOB_MEM_HOST3D || blobMem === VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST;
  const inGuest = blobMem === VIRTIO_GPU_BLOB_MEM_GUEST || blobMem === VIRTIO_GPU_BLOB_MEM_HOST3D_GUEST;
  if (!(onHost || inGuest) || (flags & ~BLOB_FLAGS) !== 0 || (!inGuest && count !== 0)) return plain(BAD);
  if (size === 0 || !Number.isSafeInteger(size)) return plain(BAD);
  const pages = inGuest ? request.pages(ResourceCreateBlob.byteLength, count) : NO_PAGES;
  if (pages.valid === false) return plain(UNSPEC);
  const verdict = createWithPages(model, request, { id, size, onHost, inGuest, pages, flags });
  return pages.valid === null ? { ...verdict, allowed: [...verdict.allowed, UNSPEC] } : verdict;
}

interface BlobToBe {
  readonly id: number;
  readonly size: number;
  readonly onHost: boolean;
  readonly inGuest: boolean;
  readonly pages: NamedPages;
  readonly flags: number;
}

function createWithPages(model: GpuModel, request: RequestView, blob: BlobToBe): Verdict {
  const { id, size, onHost, inGuest, pages, flags } = blob;
  if (id === 0 || model.resources.has(id)) return plain(NO_RESOURCE);
  // Whole pages, as the host gives them.
  const hostBytes = onHost ? Math.ceil(size / PAGE) * PAGE : 0;
  const budget = budgetVerdict(model, hostBytes);
  if (!budget.includes(OK)) return plain(NO_MEMORY);
  const unlessOk = budget.filter((status) => status !== OK);
  const add = (object: ModelObject | null): void => {
    const still = { backing: inGuest ? pages.size : -1, offset: -1, failed: false, foreign: pages.valid === null };
    const mappable = (flags & VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE) !== 0;
    model.add(id, { kind: 'blob', width: 0, height: 0, size, mappable, hostBytes, object, ...still });
  };
  if (!onHost) {
    return pages.size < size ? plain(BAD, ...unlessOk) : change([OK, ...unlessOk], OK, () => add(null));
  }
  const context = model.contexts.get(request.ctxId);
  if (context === undefined) return plain(NO_CONTEXT, ...unlessOk);
  if (context === 'held') return plain(UNSPEC, ...unlessOk);
  if (inGuest && pages.size < size) return plain(BAD, ...unlessOk);
  const { name, found } = objectOf(model, request);
  const whole = Math.ceil(size / PAGE) * PAGE;
  const allowed = [...unlessOk];
  const lingering = name !== '' && model.leavingNames.has(name);
  const tooLarge = (found !== undefined && whole > found.least) || (found === undefined && lingering);
  const good = found === undefined || whole <= found.most || lingering;
  if (good) allowed.push(OK);
  if (tooLarge) allowed.push(BAD);
  return change(allowed, OK, () => {
    const object = found ?? { name, least: whole, most: lingering ? Number.MAX_SAFE_INTEGER : whole, blobs: 0 };
    if (found !== undefined && whole > found.least) found.least = whole;
    if (name !== '') model.named.set(name, object);
    add(object);
  });
}

function objectOf(model: GpuModel, request: RequestView): { name: string; found: ModelObject | undefined } {
  const at = ResourceCreateBlob.blobId.offset;
  const [lo, hi] = [request.word(at), request.word(at + 4)];
  const name = lo === 0 && hi === 0 ? '' : `${hi}:${lo}`;
  return { name, found: name === '' ? undefined : model.named.get(name) };
}

export function unref(model: GpuModel, request: RequestView, { entangled }: BatchFacts): Verdict {
  const id = request.get(ResourceUnref.resourceId);
  const resource = model.resources.get(id);
  if (resource === undefined) return plain(NO_RESOURCE);
  return change([OK], OK, () => model.remove(id, resource.offset >= 0 || entangled.has(id)));
}

export function mapBlob(model: GpuModel, request: RequestView, facts: BatchFacts): Verdict {
  const id = request.get(ResourceMapBlob.resourceId);
  const resource = model.resources.get(id);
  if (resource === undefined) return plain(NO_RESOURCE);
  const offset = request.get(ResourceMapBlob.offset);
  if (resource.object === null || !resource.mappable) return plain(UNSPEC);
  if (facts.entangled.has(id)) return mapEntangled(model, resource, offset);
  if (resource.offset >= 0) return plain(UNSPEC);
  // What the front-end is going to refuse takes up room until it did.
  const allowed = facts.refusing ? [UNSPEC, NO_MEMORY] : mapStatus(model, resource, offset, facts.entangled);
  return {
    allowed,
    apply: (status) => {
      resource.failed = status !== OK_MAP;
      if (status === OK_MAP) resource.offset = offset;
    },
  };
}

function mapStatus(model: GpuModel, resource: ModelResource, offset: number, entangled: ReadonlySet<number>): number[] {
  const len = mappedLen(resource);
  const live = [...model.mapped(entangled)];
  const overlaps = live.some((other) => other.offset < offset + len && offset < other.offset + mappedLen(other));
  if (offset % PAGE !== 0 || offset + len > BUDGET.hostVisible || overlaps) return [UNSPEC];
  // What is on its way out makes room at once.
  const full = live.length >= BUDGET.maxMappings;
  const allowed = full ? [NO_MEMORY] : [OK_MAP];
  if (!full && live.length + model.unsure.length >= BUDGET.maxMappings) allowed.push(NO_MEMORY);
  if (model.overlapsUnsure(offset, len)) allowed.push(UNSPEC);
  return allowed;
}

/** Anything may come of it; the book is put right when the batch is over. */
function mapEntangled(model: GpuModel, resource: ModelResource, offset: number): Verdict {
  model.unsure.push({ offset, len: mappedLen(resource) });
  return {
    allowed: [OK_MAP, UNSPEC, NO_MEMORY],
    apply: (status) => {
      resource.failed = null;
      if (status === OK_MAP && resource.offset < 0) resource.offset = offset;
    },
  };
}

export function unmapBlob(model: GpuModel, request: RequestView, { entangled }: BatchFacts): Verdict {
  const id = request.get(ResourceUnref.resourceId);
  const resource = model.resources.get(id);
  if (resource === undefined) return plain(NO_RESOURCE);
  const leave = (): void => {
    resource.offset = -1;
  };
  if (entangled.has(id)) return change([OK, UNSPEC], OK, leave);
  if (resource.offset >= 0) return change([OK], OK, leave);
  if (resource.failed === null) return plain(OK, UNSPEC);
  return plain(resource.failed ? OK : UNSPEC);
}
