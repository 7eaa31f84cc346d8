/** 3D resources (RESOURCE_CREATE_3D, TRANSFER_*_3D) are a plug-in of the device: virgl is one; without it they are refused. */
import type { Box, DmaBufFrame, PixelSource } from '../display/sink.ts';
import type { GpuStatus } from '../protocol/values.ts';

/** Fields of RESOURCE_CREATE_3D (`struct virtio_gpu_resource_create_3d`). */
export interface Resource3dRequest {
  readonly resourceId: number;
  readonly target: number;
  readonly format: number;
  readonly bind: number;
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly arraySize: number;
  readonly lastLevel: number;
  readonly nrSamples: number;
  readonly flags: number;
}

/** Fields of TRANSFER_TO_HOST_3D and TRANSFER_FROM_HOST_3D. */
export interface Transfer3dRequest {
  readonly ctxId: number;
  readonly x: number;
  readonly y: number;
  readonly z: number;
  readonly w: number;
  readonly h: number;
  readonly d: number;
  /** Bytes into the guest pages. */
  readonly offset: number;
  readonly level: number;
  readonly stride: number;
  readonly layerStride: number;
}

/** Guest pages of a resource. */
export interface GuestPages {
  /** Bytes. */
  readonly size: number;
  /** Copies. @returns 0, -EINVAL outside of the pages, -EFAULT when the memory is gone */
  read(offset: number, to: Uint8Array, toOffset: number, len: number): number;
  write(offset: number, from: Uint8Array, fromOffset: number, len: number): number;
}

/** A resource that lives in the renderer. */
export interface RendererResource extends Disposable {
  /** Host memory that it takes, bytes, for the budget. */
  readonly hostBytes: number;
  /** For SET_SCANOUT and RESOURCE_FLUSH, pixels. */
  readonly width: number;
  readonly height: number;
  /** RESOURCE_ATTACH_BACKING and RESOURCE_DETACH_BACKING (null), for renderers that copy inside a SUBMIT_3D. */
  pagesChanged?(pages: GuestPages | null): void;
  transferToHost(request: Transfer3dRequest, pages: GuestPages): GpuStatus;
  transferFromHost(request: Transfer3dRequest, pages: GuestPages): GpuStatus;
  /** Pixels of a part, or null when they cannot be read. */
  pixels(part: Box): PixelSource | null;
  /** The whole as a dma-buf, where the host can. */
  dmaBuf?(): DmaBufFrame | null;
}

/** Makes 3D resources. */
export interface Renderer {
  readonly name: string;
  create(request: Resource3dRequest): RendererResource | GpuStatus;
}
