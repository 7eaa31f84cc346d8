/** TRANSFER_TO_HOST_2D: guest pages into the host memory of a resource. */
import {
  BYTES_PER_PIXEL,
  type GpuStatus,
  VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
  VIRTIO_GPU_RESP_ERR_UNSPEC,
  VIRTIO_GPU_RESP_OK_NODATA,
} from '../protocol/values.ts';
import type { Resource } from './resource.ts';

/**
 * Copies a rectangle. Its rows lie `resource.width` * 4 bytes apart in the guest pages, as they do in the host memory. On a
 * blob there is nothing to do: its pages are what is shown. A 3D resource hands it to its renderer.
 *
 * A rectangle that reaches past the end of the pages is refused before a byte is copied. (QEMU copies what is there and
 * answers OK; no known driver asks for more than it attached.)
 * @param x - with `y`, `width`, `height`: pixels, u32 each
 * @param offset - where the first pixel lies in the guest pages, bytes; above 2^53 - 1 it is refused like any other
 * @returns INVALID_PARAMETER for a rectangle outside of the resource or its pages; UNSPEC without pages, or when the memory
 * under them is gone (the resource then holds a part)
 */
export function transferToHost2d(
  resource: Resource,
  x: number,
  y: number,
  width: number,
  height: number,
  offset: number,
): GpuStatus {
  if (resource.kind === 'blob') return VIRTIO_GPU_RESP_OK_NODATA;
  const { backing, pixels, renderer } = resource;
  if (backing === null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  if (x + width > resource.width || y + height > resource.height) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  if (width === 0 || height === 0) return VIRTIO_GPU_RESP_OK_NODATA;
  const stride = resource.width * BYTES_PER_PIXEL;
  const rowBytes = width * BYTES_PER_PIXEL;
  if (!(offset + stride * (height - 1) + rowBytes <= backing.size)) return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
  if (renderer !== null) {
    return renderer.transferToHost(
      { ctxId: 0, x, y, z: 0, w: width, h: height, d: 1, offset, level: 0, stride: 0, layerStride: 0 },
      backing,
    );
  }
  if (pixels === null) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  const target = y * stride + x * BYTES_PER_PIXEL;
  if (rowBytes === stride) return statusOf(backing.read(offset, pixels.u8, target, stride * height));
  for (let row = 0; row < height; row++) {
    const error = backing.read(offset + row * stride, pixels.u8, target + row * stride, rowBytes);
    if (error !== 0) return VIRTIO_GPU_RESP_ERR_UNSPEC;
  }
  return VIRTIO_GPU_RESP_OK_NODATA;
}

function statusOf(error: number): GpuStatus {
  return error === 0 ? VIRTIO_GPU_RESP_OK_NODATA : VIRTIO_GPU_RESP_ERR_UNSPEC;
}
