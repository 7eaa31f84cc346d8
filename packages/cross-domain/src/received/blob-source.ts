/** Host memory for blobs, charged to a context as long as the blob lives. */
import { type GpuStatus, type HostBlob, MemoryContextType, VIRTIO_GPU_BLOB_MEM_HOST3D } from '@oriel/gpu-blob';
import type { Sys } from '@oriel/sys';
import type { Quota } from '../quota.ts';

/** Makes sealed memfds of whole pages; one serves all contexts of a type. */
export class BlobSource {
  readonly #context: ReturnType<MemoryContextType['create']>;
  readonly #pageSize: number;

  constructor(sys: Sys) {
    this.#context = new MemoryContextType({ sys }).create();
    this.#pageSize = sys.mem.pageSize;
  }

  /** Whole pages, at least one, bytes. */
  pages(size: number): number {
    return Math.max(1, Math.ceil(size / this.#pageSize)) * this.#pageSize;
  }

  /** @param size - bytes, whole pages @param bytes - is charged until the blob's end @returns null where there is no memory */
  make(size: number, label: string, bytes: Quota): HostBlob | null {
    if (!bytes.take(size)) return null;
    const blob = this.#allocate(size);
    if (typeof blob === 'number') {
      bytes.give(size);
      return null;
    }
    return withEnd(blob, label, () => bytes.give(size));
  }

  #allocate(size: number): HostBlob | GpuStatus {
    const nameless = { resourceId: 0, blobIdLo: 0, blobIdHi: 0, blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, flags: 0 };
    return this.#context.createBlob({ ...nameless, size });
  }
}

/** The same blob under a name. @param end - called after its end, once */
export function withEnd(blob: HostBlob, label: string, end: () => void): HostBlob {
  const dispose = once(() => {
    blob[Symbol.dispose]();
    end();
  });
  return { ...blob, label, [Symbol.dispose]: dispose };
}

/** Does something the first time that it is called. */
export function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
