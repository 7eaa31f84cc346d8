/** The pixels of a resource, as a display sink wants them. */
import { EINVAL } from '@oriel/sys';
import type { Box, PixelSource } from '../display/sink.ts';
import {
  BYTES_PER_PIXEL,
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import { orderOf, type PixelOrder, reorder } from './formats.ts';
import type { Resource } from './resource.ts';

/** How a framebuffer lies in a blob: SET_SCANOUT_BLOB. All are u32; `stride` and `offset` are bytes, the rest pixels. */
export interface Framebuffer {
  /** VIRTIO_GPU_FORMAT_*. */
  readonly format: number;
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  readonly offset: number;
}

/** True when `part` lies in an area of `width` x `height`. Sums of two u32 are exact, so nothing wraps. */
export function partFits(part: Box, width: number, height: number): boolean {
  return part.x + part.width <= width && part.y + part.height <= height;
}

/**
 * Whether a framebuffer lies in a blob, to its last pixel (what follows the last row's pixels need not exist).
 * @returns UNSPEC for a guest blob without pages; INVALID_PARAMETER otherwise
 */
export function checkFramebuffer(resource: Resource, framebuffer: Framebuffer): GpuStatus {
  const { format, width, height, stride, offset } = framebuffer;
  const rowBytes = width * BYTES_PER_PIXEL;
  if (resource.kind !== 'blob' || orderOf(format) === null || width === 0 || height === 0 || stride < rowBytes) {
    return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  }
  // Above 2^53 the sum is rounded, but never down to a size that exists.
  const end = offset + stride * (height - 1) + rowBytes;
  if (end > resource.size) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  if (resource.host !== null) return VIRTIO_GPU_RESP_OK_NODATA;
  if (resource.backing === null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  return end <= resource.backing.size ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
}

/**
 * The pixels of a part. The fourth byte of each is the guest's: A where the format has it, else X and worth nothing.
 * The source may outlive the resource, and its pages: rows that cannot be read any more answer a negative errno.
 * @param framebuffer - for a blob, as `checkFramebuffer` took it; null for 2D and 3D
 * @returns null for a part that is empty or not in the resource, and when there are no pixels
 */
export function pixelsOf(resource: Resource, part: Box, framebuffer: Framebuffer | null): PixelSource | null {
  if (resource.disposed || part.width === 0 || part.height === 0) return null;
  if (resource.renderer !== null) {
    return partFits(part, resource.width, resource.height) ? resource.renderer.pixels(part) : null;
  }
  if (framebuffer !== null) {
    if (checkFramebuffer(resource, framebuffer) !== VIRTIO_GPU_RESP_OK_NODATA) return null;
    return sourceOf(resource, part, framebuffer);
  }
  if (resource.pixels === null) return null;
  const { format, width, height } = resource;
  return sourceOf(resource, part, { format, width, height, stride: width * BYTES_PER_PIXEL, offset: 0 });
}

function sourceOf(resource: Resource, part: Box, framebuffer: Framebuffer): PixelSource | null {
  const order = orderOf(framebuffer.format);
  if (order === null || !partFits(part, framebuffer.width, framebuffer.height)) return null;
  return new ResourcePixels(resource, part, framebuffer, order);
}

/** Reads anew at each call, since pages and resource can go meanwhile. */
class ResourcePixels implements PixelSource {
  readonly width: number;
  readonly height: number;
  readonly direct: Uint8Array | null;
  readonly #resource: Resource;
  readonly #order: PixelOrder;
  readonly #stride: number;
  /** Where the first pixel lies in the resource, bytes. */
  readonly #start: number;

  constructor(resource: Resource, part: Box, framebuffer: Framebuffer, order: PixelOrder) {
    this.width = part.width;
    this.height = part.height;
    this.#resource = resource;
    this.#order = order;
    this.#stride = framebuffer.stride;
    this.#start = framebuffer.offset + part.y * framebuffer.stride + part.x * BYTES_PER_PIXEL;
    // Host memory that is this process's own. It never moves, and a view of it is empty once it is gone.
    const tight = order === 'none' && this.#tight;
    this.direct =
      resource.pixels !== null && tight
        ? resource.pixels.u8.subarray(this.#start, this.#start + this.width * this.height * BYTES_PER_PIXEL)
        : null;
  }

  copyRows(first: number, count: number, to: Uint8Array, toOffset: number): number {
    if (!(first >= 0 && count >= 0 && first + count <= this.height)) return -EINVAL;
    const error = this.#gather(first, count, to, toOffset);
    if (error === 0) reorder(this.#order, to, toOffset, count * this.width);
    return error;
  }

  get #tight(): boolean {
    return this.#stride === this.width * BYTES_PER_PIXEL || this.height === 1;
  }

  #gather(first: number, count: number, to: Uint8Array, toOffset: number): number {
    const rowBytes = this.width * BYTES_PER_PIXEL;
    const start = this.#start + first * this.#stride;
    if (this.#tight) return this.#resource.read(start, to, toOffset, count * rowBytes);
    for (let row = 0; row < count; row++) {
      const error = this.#resource.read(start + row * this.#stride, to, toOffset + row * rowBytes, rowBytes);
      if (error !== 0) return error;
    }
    return 0;
  }
}
