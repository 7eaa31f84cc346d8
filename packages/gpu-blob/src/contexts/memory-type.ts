/**
 * The context type `memory`: HOST3D blobs that are plain memory, which programs of the guest and processes of the host
 * share. A blob_id of 0 makes memory of its own; any other number names an object that all who name it share.
 */
import { struct, U32, U64 } from '@oriel/layout';
import type { Fd, Sys } from '@oriel/sys';
import { makeMemoryFile, sizeOfMemoryFile } from '../memory-file.ts';
import {
  type GpuStatus,
  VIRTIO_GPU_MAP_CACHE_CACHED,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { BlobRequest, Context, ContextType, HostBlob, KeptMemory } from './context-type.ts';

/** Capset id of the type `memory`: no specification names it, and Linux takes ids up to 31. */
export const MEMORY_CAPSET_ID = 30;
const MEMORY_VERSION = 1;

/** The capset's data: what the guest may ask for. */
export const MemoryCapset = struct('oriel_memory_capset', {
  version: U32,
  /** Sizes are rounded up to this, bytes. */
  pageSize: U32,
  /** Largest blob, bytes. */
  maxSize: U64,
});

/** One object in host memory. */
export interface MemoryObject {
  /** The guest's name, 64 bits; 0: nameless. */
  readonly blobIdLo: number;
  readonly blobIdHi: number;
  /** Bytes, whole pages. */
  readonly size: number;
  /** A memfd, sealed against shrinking and growing; lent while the object lives. */
  readonly fd: number;
  /** Blobs that use it now. */
  readonly blobs: number;
}

interface Held extends MemoryObject {
  readonly file: Fd;
  blobs: number;
}

/** Settings of the type. */
export interface MemoryContextOptions {
  readonly sys: Sys;
  /** Largest blob, bytes; default 4 GiB. */
  readonly maxSize?: number;
}

const DEFAULT_MAX_SIZE = 2 ** 32;

/** Contexts whose blobs are memfds. */
export class MemoryContextType implements ContextType {
  readonly capsetId = MEMORY_CAPSET_ID;
  readonly name = 'memory';
  readonly maxVersion = MEMORY_VERSION;
  readonly capset: Uint8Array;
  readonly #sys: Sys;
  readonly #maxSize: number;
  readonly #objects = new Set<Held>();
  readonly #named = new Map<string, Held>();

  constructor(options: MemoryContextOptions) {
    this.#sys = options.sys;
    this.#maxSize = options.maxSize ?? DEFAULT_MAX_SIZE;
    this.capset = new Uint8Array(MemoryCapset.byteLength);
    const view = new DataView(this.capset.buffer);
    MemoryCapset.version.set(view, 0, MEMORY_VERSION);
    MemoryCapset.pageSize.set(view, 0, this.#sys.mem.pageSize);
    MemoryCapset.maxSize.set(view, 0, this.#maxSize);
  }

  /** Objects that live now, in the order of their making. */
  objects(): readonly MemoryObject[] {
    return [...this.#objects];
  }

  /** The object of a name, or null: what a host process asks for. */
  find(blobIdLo: number, blobIdHi: number): MemoryObject | null {
    return this.#named.get(key(blobIdLo, blobIdHi)) ?? null;
  }

  create(): Context {
    return {
      submit: (commands, done) =>
        done(commands.length === 0 ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER),
      fence: (_ring, done) => done(),
      createBlob: (request) => this.#createBlob(request),
      [Symbol.dispose]() {},
    };
  }

  restore(): Context {
    return this.create();
  }

  /** Blobs that shared an object share one again. */
  restoreBlob(
    file: Fd,
    { blobIdLo, blobIdHi, memory }: BlobRequest & { readonly memory: KeptMemory },
  ): HostBlob | null {
    const name = key(blobIdLo, blobIdHi);
    const shared = this.#named.get(name);
    const size = sizeOfMemoryFile(this.#sys, file.fd);
    if (shared !== undefined || size <= 0) file.close();
    if (size <= 0) return null;
    return this.#blob(shared ?? this.#hold(blobIdLo, blobIdHi, size, file), name, Math.min(size, memory.size));
  }

  #createBlob(request: BlobRequest): HostBlob | GpuStatus {
    const { pageSize } = this.#sys.mem;
    if (request.size > this.#maxSize) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    const size = Math.ceil(request.size / pageSize) * pageSize;
    const name = key(request.blobIdLo, request.blobIdHi);
    const shared = this.#named.get(name);
    if (shared !== undefined) {
      return size <= shared.size ? this.#blob(shared, name, size) : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    }
    const file = makeMemoryFile(this.#sys, 'oriel-blob', size);
    if (file === null) return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
    return this.#blob(this.#hold(request.blobIdLo, request.blobIdHi, size, file), name, size);
  }

  #hold(blobIdLo: number, blobIdHi: number, size: number, file: Fd): Held {
    const held: Held = { blobIdLo, blobIdHi, size, file, fd: file.fd, blobs: 0 };
    this.#objects.add(held);
    if (blobIdLo !== 0 || blobIdHi !== 0) this.#named.set(key(blobIdLo, blobIdHi), held);
    return held;
  }

  #blob(held: Held, name: string, size: number): HostBlob {
    held.blobs++;
    let live = true;
    return {
      fd: held.fd,
      fdOffset: 0,
      size,
      mapInfo: VIRTIO_GPU_MAP_CACHE_CACHED,
      label: held.blobIdLo === 0 && held.blobIdHi === 0 ? 'memory' : `memory ${name}`,
      [Symbol.dispose]: () => {
        if (!live) return;
        live = false;
        held.blobs--;
        if (held.blobs > 0) return;
        this.#objects.delete(held);
        if (this.#named.get(name) === held) this.#named.delete(name);
        held.file.close();
      },
    };
  }
}

/** A blob id in hexadecimal digits. */
function key(lo: number, hi: number): string {
  return hi === 0 ? lo.toString(16) : `${hi.toString(16)}${lo.toString(16).padStart(8, '0')}`;
}
