/** Blobs in the window: MAP_BLOB and UNMAP_BLOB, with or without the blob's whole life around them. */
import { MEMORY_CAPSET_ID, VIRTIO_GPU_BLOB_MEM_HOST3D, VIRTIO_GPU_RESP_OK_MAP_INFO } from '@oriel/gpu-blob';
import {
  encodeCtxCreate,
  encodeCtxDestroy,
  encodeResourceCreateBlob,
  encodeResourceMapBlob,
  encodeResourceUnmapBlob,
  encodeResourceUnref,
} from '@oriel/gpu-blob/testing';
import { check, Mapping } from '@oriel/sys';
import { BenchError } from '../../errors.ts';
import { GpuCommand } from '../driver/command.ts';
import type { GpuSession } from '../driver/session.ts';
import type { GpuWork } from '../driver/work.ts';

/** What one operation is. */
export interface BlobWorkOptions {
  /** Bytes of a blob, whole pages. */
  readonly size: number;
  /** 'map': a blob that exists is mapped and unmapped; 'life': it is also created before and ended behind. */
  readonly of: 'map' | 'life';
}

/** Operations at the same time, at most: each has chains of its own in the ring. */
const SLOTS = 8;
/** Both ends of a blob are looked at. */
const WORD = 8;
/** Names an object that two blobs share. */
const SHARED_ID = 1;

/** HOST3D blobs of context type `memory`, one a slot, each with a place in the window of its own. */
export class BlobWork implements GpuWork {
  readonly sampleEvery = 1;
  readonly #session: GpuSession;
  readonly #options: BlobWorkOptions;
  readonly #ctxId: number;
  readonly #first: GpuCommand[] = [];
  readonly #resources: number[] = [];

  constructor(session: GpuSession, options: BlobWorkOptions) {
    this.#session = session;
    this.#options = options;
    this.#ctxId = session.newId();
    session.must(encodeCtxCreate({ contextInit: MEMORY_CAPSET_ID, debugName: 'bench' }, { ctxId: this.#ctxId }));
    for (let slot = 0; slot < SLOTS; slot++) this.#first.push(this.#prepare(slot));
  }

  begin(slot: number): GpuCommand {
    return this.#first[slot]!;
  }

  answered(command: GpuCommand, used: number): GpuCommand | null {
    command.expect(used);
    return command.next;
  }

  /** Two blobs that share an object are mapped at once: what is written at one place must be read at the other. */
  verify(once: (slot: number) => void): void {
    const { window } = this.#session;
    const { maps, unmaps } = window;
    for (let slot = 0; slot < SLOTS; slot++) once(slot);
    if (window.maps !== maps + SLOTS || window.unmaps !== unmaps + SLOTS) {
      throw wrong(`${window.maps - maps} maps and ${window.unmaps - unmaps} unmaps for ${SLOTS} operations`);
    }
    this.#verifyContent();
  }

  [Symbol.dispose](): void {
    for (const id of this.#resources) this.#session.must(encodeResourceUnref(id));
    this.#session.must(encodeCtxDestroy({ ctxId: this.#ctxId }));
  }

  #prepare(slot: number): GpuCommand {
    const { size, of } = this.#options;
    const session = this.#session;
    const resourceId = session.newId();
    const create = this.#create(resourceId);
    const isLife = of === 'life';
    const last = isLife ? { next: new GpuCommand(session, slot, encodeResourceUnref(resourceId), {}) } : {};
    const unmap = new GpuCommand(session, slot, encodeResourceUnmapBlob(resourceId), last);
    const map = new GpuCommand(session, slot, encodeResourceMapBlob({ resourceId, offset: slot * size }), {
      answer: VIRTIO_GPU_RESP_OK_MAP_INFO,
      next: unmap,
    });
    if (isLife) return new GpuCommand(session, slot, create, { next: map });
    session.must(create);
    this.#resources.push(resourceId);
    return map;
  }

  #create(resourceId: number, blobId = 0): Uint8Array {
    const fields = { resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: this.#options.size, blobId };
    return encodeResourceCreateBlob(fields, { ctxId: this.#ctxId });
  }

  #verifyContent(): void {
    const { size } = this.#options;
    const session = this.#session;
    const { window } = session;
    const ids = [session.newId(), session.newId()];
    ids.forEach((resourceId, index) => {
      session.must(this.#create(resourceId, SHARED_ID));
      session.must(encodeResourceMapBlob({ resourceId, offset: index * size }));
    });
    using scratch = Mapping.anonymous(session.sys.mem, session.sys.mem.pageSize);
    const view = new DataView(scratch.u8.buffer);
    for (const at of [0, size - WORD]) {
      view.setFloat64(0, at + Math.PI, true);
      check(window.write(at, scratch.addr, WORD), 'window write');
      view.setFloat64(0, 0);
      check(window.read(size + at, scratch.addr, WORD), 'window read');
      if (view.getFloat64(0, true) !== at + Math.PI) throw wrong(`byte ${at} of a shared object is not shared`);
    }
    for (const id of ids) session.must(encodeResourceUnref(id));
    if (window.read(0, scratch.addr, WORD) >= 0) throw wrong('a blob that has ended is still in the window');
  }
}

function wrong(detail: string): BenchError {
  return new BenchError('ERR_BENCH_ANSWER', `blobs: ${detail}`);
}
