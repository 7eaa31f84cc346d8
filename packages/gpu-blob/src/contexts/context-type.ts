/**
 * Context types: what a guest program finds behind CONTEXT_INIT, a plug-in of the device named by its capset.
 *
 * All calls come on the device's loop. What a guest can cause must be answered with a status: an exception is a bug of the
 * plug-in, and ends the program.
 */
import type { EventLoop, Fd, Logger, Offload, Sys } from '@oriel/sys';
import type { GpuStatus } from '../protocol/values.ts';

/** What a context may use. */
export interface ContextHost {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly log: Logger;
  readonly offload: Offload;
  /** The guest's number of the context, 1 and up. */
  readonly ctxId: number;
  /**
   * Writes down a word for `ContextType.restore`: at once, where anything outlives the process. Not inside `create`.
   * @param place - 0 to 6
   * @param value - u32
   */
  remember(place: number, value: number): void;
  /** What was remembered, perhaps by a process before; 0: nothing. */
  recall(place: number): number;
  /** A resource that is attached to this context, or null. */
  resource(resourceId: number): ContextResource | null;
}

/** A resource as a context sees it. Valid while it is attached; afterwards it has no memory. */
export interface ContextResource {
  readonly id: number;
  /** Bytes of the blob; 0 for what is no blob. */
  readonly size: number;
  /** Host memory of a HOST3D blob, lent: a descriptor (-1: none) and where in it the blob begins, bytes. */
  readonly fd: number;
  readonly fdOffset: number;
  /** Guest pages there are, bytes; 0 when there are none. */
  readonly backingSize: number;
  /**
   * Copies from and to the guest pages.
   * @returns 0; -EINVAL outside of them; -EFAULT when the memory is gone; -EAGAIN while the VM stands still (see `suspend`)
   */
  readBacking(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  writeBacking(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
}

/** What RESOURCE_CREATE_BLOB asks of a context. */
export interface BlobRequest {
  readonly resourceId: number;
  /** The guest's name of the host object, 64 bits. */
  readonly blobIdLo: number;
  readonly blobIdHi: number;
  /** Bytes, a safe integer above 0. */
  readonly size: number;
  /** VIRTIO_GPU_BLOB_MEM_HOST3D, or HOST3D_GUEST: there are guest pages too. */
  readonly blobMem: number;
  /** VIRTIO_GPU_BLOB_FLAG_USE_*. */
  readonly flags: number;
}

/** Host memory behind a HOST3D blob. The device disposes it when the resource is gone and nothing maps it any more. */
export interface HostBlob extends Disposable {
  /**
   * Sealed against shrinking or otherwise of a fixed size, open for reading and writing; reading must not block. A file that
   * is too short by the time it is mapped is refused then; one that shrinks later costs the guest its pages.
   */
  readonly fd: number;
  /** Bytes into the file; a multiple of the page size. */
  readonly fdOffset: number;
  /** Bytes that can be mapped from there, a multiple of the page size; at least what was asked for. */
  readonly size: number;
  /** VIRTIO_GPU_MAP_CACHE_*. */
  readonly mapInfo: number;
  /** For pictures of the window and logs. */
  readonly label: string;
}

/** What of a `HostBlob` outlives the process, beside its file. */
export type KeptMemory = Pick<HostBlob, 'fdOffset' | 'size' | 'mapInfo' | 'label'>;

/** One context of one guest program. */
export interface Context extends Disposable {
  /**
   * Executes the commands of a SUBMIT_3D. `commands` is lent for the call. `done` comes once, at once or later, in any order;
   * a second call, and one after the end of the context, does nothing.
   */
  submit(commands: Uint8Array, done: (status: GpuStatus) => void): void;
  /**
   * A fence on `ring` (0 to 63; -1: the global timeline, on which every program of the guest waits) behind everything submitted
   * so far. Called when the command that carries it is done. `done` comes once, at once or later, unless the context ends
   * first; it may come while the VM stands still. Fences of one ring complete in order; the device sees to it.
   */
  fence(ring: number, done: () => void): void;
  /** Makes or finds the host object of a HOST3D blob. */
  createBlob(request: BlobRequest): HostBlob | GpuStatus;
  /** A resource came or goes; absent: nothing to do. */
  attach?(resource: ContextResource): void;
  detach?(resource: ContextResource): void;
  /**
   * The VM stands still: guest pages can be neither read nor written until `resume`. For contexts that act by themselves, as
   * on what comes from a socket; absent: nothing to do.
   */
  suspend?(): void;
  resume?(): void;
  /**
   * CTX_DESTROY, reset or the end of the connection: all resources are detached, without a word. Fences that are not done are
   * signalled by the device.
   */
  [Symbol.dispose](): void;
}

/** A kind of context. One object serves all guests' contexts of its kind. */
export interface ContextType {
  /** 1 to 63; Linux uses only those up to 31. */
  readonly capsetId: number;
  readonly name: string;
  /** Answer of GET_CAPSET_INFO. */
  readonly maxVersion: number;
  /** Answer of GET_CAPSET: the same at each call, since drivers keep it. */
  readonly capset: Uint8Array;
  /** @param debugName - the guest program's name @returns the context, or why there is none */
  create(host: ContextHost, debugName: string): Context | GpuStatus;
  /**
   * As `create`, of a context that was there in a process that ended: a submit or fence whose `done` had not come is asked for
   * again, resources are attached anew. Null, and absent: it cannot go on. It is then one that refuses what is submitted; its
   * fences are reached at once.
   */
  restore?(host: ContextHost, debugName: string): Context | null;
  /**
   * The memory of a blob that a process before had, for a type to know its objects again.
   * @param file - given away
   * @param blob - as it was asked for, and the memory as it was given
   * @returns null, with the file closed, for what it cannot be; absent: the blob is what it was, and nothing more
   */
  restoreBlob?(file: Fd, blob: BlobRequest & { readonly memory: KeptMemory }): HostBlob | null;
}
