/** The guest's virtio-gpu driver: one call for each thing that a guest does, which waits for the device's answer. */
import {
  CONTROL_QUEUE,
  CURSOR_QUEUE,
  type Output,
  VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE,
  VIRTIO_GPU_BLOB_MEM_GUEST,
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_F_BLOB_ALIGNMENT,
  VIRTIO_GPU_F_CONTEXT_INIT,
  VIRTIO_GPU_F_EDID,
  VIRTIO_GPU_F_RESOURCE_BLOB,
  VIRTIO_GPU_F_RESOURCE_UUID,
  VIRTIO_GPU_F_VIRGL,
  VIRTIO_GPU_RESP_OK_CAPSET,
  VIRTIO_GPU_RESP_OK_CAPSET_INFO,
  VIRTIO_GPU_RESP_OK_DISPLAY_INFO,
  VIRTIO_GPU_RESP_OK_EDID,
  VirtioGpuConfig,
} from '@oriel/gpu-blob';
import {
  type CursorFields,
  encodeCtxCreate,
  encodeGetCapset,
  encodeGetCapsetInfo,
  encodeGetDisplayInfo,
  encodeGetEdid,
  encodeMoveCursor,
  encodeResourceCreateBlob,
  encodeUpdateCursor,
  type GpuReply,
  replySize,
  typeOf,
} from '@oriel/gpu-blob/testing';
import { RangeAllocator } from '@oriel/shm-region';
import { LoopbackError } from './errors.ts';
import { GpuBlob } from './gpu/blob.ts';
import { GpuChannel, hex } from './gpu/channel.ts';
import { GpuContext } from './gpu/context.ts';
import { Fences } from './gpu/fences.ts';
import { GuestPages } from './gpu/guest-pages.ts';
import { GpuSurface, type SurfaceOptions } from './gpu/surface.ts';
import type { LoopbackVm } from './loopback-vm.ts';

/** For `LoopbackOptions.deviceFeatures`: all that Linux 7.3 accepts. */
export const GPU_FEATURES: readonly number[] = [
  VIRTIO_GPU_F_VIRGL,
  VIRTIO_GPU_F_EDID,
  VIRTIO_GPU_F_RESOURCE_UUID,
  VIRTIO_GPU_F_RESOURCE_BLOB,
  VIRTIO_GPU_F_CONTEXT_INIT,
  VIRTIO_GPU_F_BLOB_ALIGNMENT,
];

/** The configuration space. */
export interface GpuConfig {
  readonly eventsRead: number;
  readonly numScanouts: number;
  readonly numCapsets: number;
}

/** A capset as GET_CAPSET_INFO and GET_CAPSET tell of it. */
export interface Capset {
  readonly id: number;
  readonly maxVersion: number;
  readonly data: Uint8Array;
}

/** Which host object a blob is, and for whom. */
export interface HostBlobOptions {
  readonly context: GpuContext;
  /** Bytes, a multiple of 4096. */
  readonly size: number;
  /** Default 0. */
  readonly blobId?: number;
  /** VIRTIO_GPU_BLOB_FLAG_USE_*; default mappable. */
  readonly flags?: number;
}

const PAGE = 4096;
/** As Linux: numbers are never used again. */
const FIRST_RESOURCE = 2;
/** Where a device has no window. */
const NO_WINDOW = PAGE;

/** Drives a virtio-gpu device. What it refuses is a LoopbackError ERR_LOOPBACK_REFUSED with the `status`. */
export class GpuGuest {
  readonly vm: LoopbackVm;
  readonly control: GpuChannel;
  readonly cursor: GpuChannel;
  readonly fences = new Fences();
  #offsets: RangeAllocator;
  #lastResource = FIRST_RESOURCE - 1;
  #lastContext = 0;

  constructor(vm: LoopbackVm) {
    this.vm = vm;
    this.control = new GpuChannel(vm, CONTROL_QUEUE);
    this.cursor = new GpuChannel(vm, CURSOR_QUEUE);
    this.#offsets = this.#newOffsets();
  }

  /** Bytes of the window that no blob has. */
  get windowFree(): number {
    return this.#offsets.free;
  }

  /** A resource number that was never used. */
  newResourceId(): number {
    this.#lastResource++;
    return this.#lastResource;
  }

  config(): GpuConfig {
    const bytes = this.vm.config(0, VirtioGpuConfig.blobAlignment.offset);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return {
      eventsRead: VirtioGpuConfig.eventsRead.get(view, 0),
      numScanouts: VirtioGpuConfig.numScanouts.get(view, 0),
      numCapsets: VirtioGpuConfig.numCapsets.get(view, 0),
    };
  }

  /** Says that these events were seen. */
  clearEvents(events: number): void {
    const bytes = new Uint8Array(VirtioGpuConfig.eventsClear.size);
    new DataView(bytes.buffer).setUint32(0, events, true);
    this.vm.writeConfig(VirtioGpuConfig.eventsClear.offset, bytes);
  }

  /** As Linux at its probe. */
  capsets(): Capset[] {
    return Array.from({ length: this.config().numCapsets }, (_, index) => {
      const info = expectType(this.control.must(encodeGetCapsetInfo(index)), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
      const request = encodeGetCapset(info.capsetId, info.maxVersion);
      const room = replySize(typeOf(request), info.maxSize);
      const { data } = expectType(this.control.must(request, room), VIRTIO_GPU_RESP_OK_CAPSET);
      return { id: info.capsetId, maxVersion: info.maxVersion, data };
    });
  }

  /** Those that the device has. */
  outputs(): readonly Output[] {
    const { outputs } = expectType(this.control.must(encodeGetDisplayInfo()), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
    return outputs.slice(0, this.config().numScanouts);
  }

  edid(scanout: number): Uint8Array {
    return expectType(this.control.must(encodeGetEdid(scanout)), VIRTIO_GPU_RESP_OK_EDID).edid;
  }

  createContext(capsetId = 0, debugName = 'loopback'): GpuContext {
    this.#lastContext++;
    const context = new GpuContext(this.control, this.fences, this.#lastContext);
    this.control.must(encodeCtxCreate({ contextInit: capsetId, debugName }, { ctxId: context.id }));
    return context;
  }

  /** A HOST3D blob. */
  createHostBlob(options: HostBlobOptions): GpuBlob {
    const { context, size, blobId = 0, flags = VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE } = options;
    const resourceId = this.newResourceId();
    const blobMem = VIRTIO_GPU_BLOB_MEM_HOST3D;
    const fields = { resourceId, blobMem, blobFlags: flags, blobId, size };
    this.control.must(encodeResourceCreateBlob(fields, { ctxId: context.id }));
    return new GpuBlob(this.control, this.#offsets, resourceId, size);
  }

  /** A blob of guest pages. @param pieceSize - see `GuestPages` */
  createGuestBlob(size: number, pieceSize?: number): GpuBlob {
    const pages = new GuestPages(this.vm.ram, size, pieceSize);
    const resourceId = this.newResourceId();
    const fields = { resourceId, blobMem: VIRTIO_GPU_BLOB_MEM_GUEST, size, entries: pages.entries };
    try {
      this.control.must(encodeResourceCreateBlob(fields));
    } catch (error) {
      pages.release();
      throw error;
    }
    return new GpuBlob(this.control, this.#offsets, resourceId, size, pages);
  }

  /** A 2D resource with pixels in guest memory. */
  createSurface(options: SurfaceOptions): GpuSurface {
    return new GpuSurface(this.control, this.newResourceId(), options);
  }

  /** UPDATE_CURSOR; without a resource the cursor is hidden. */
  updateCursor(fields: CursorFields): void {
    this.#cursor(encodeUpdateCursor(fields));
  }

  /** MOVE_CURSOR names the resource again, as Linux does: without one the cursor is hidden. */
  moveCursor(fields: CursorFields): void {
    this.#cursor(encodeMoveCursor(fields));
  }

  /** The device was reset: no resource, context or mapping is there any more. Guest pages of earlier ones stay taken. */
  forgetAll(): void {
    this.#offsets = this.#newOffsets();
    this.#lastContext = 0;
  }

  /** Nothing comes back but the chain, as with Linux. */
  #cursor(request: Uint8Array): void {
    const { chain } = this.cursor.send(request, 0);
    this.vm.await(this.cursor.queue, chain, undefined, 'end of a cursor command');
  }

  #newOffsets(): RangeAllocator {
    return new RangeAllocator(this.vm.hasWindow ? this.vm.window.size : NO_WINDOW, PAGE);
  }
}

function expectType<T extends GpuReply['type']>(reply: GpuReply, type: T): Extract<GpuReply, { readonly type: T }> {
  if (reply.type === type) return reply as Extract<GpuReply, { readonly type: T }>;
  throw new LoopbackError('ERR_LOOPBACK_REPLY', `response ${hex(reply.type)}, wanted ${hex(type)}`);
}
