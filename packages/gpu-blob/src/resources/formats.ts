/** Pixel formats: which there are, and how each becomes the byte order B, G, R, X. */
import {
  BYTES_PER_PIXEL,
  VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM,
  VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM,
  VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
  VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
  VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM,
  VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM,
  VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM,
  VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM,
} from '../protocol/values.ts';

/**
 * How the four bytes of a pixel move to become B, G, R and the fourth: 'none', all reversed, the first and third
 * exchanged, or the first to the end. The fourth byte is the guest's A or X, whichever the format has, and never changed.
 */
export type PixelOrder = 'none' | 'reverse' | 'exchange' | 'rotate';

/** @returns null for a format that does not exist */
export function orderOf(format: number): PixelOrder | null {
  switch (format) {
    case VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM:
    case VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM:
      return 'none';
    case VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM:
    case VIRTIO_GPU_FORMAT_X8R8G8B8_UNORM:
      return 'reverse';
    case VIRTIO_GPU_FORMAT_R8G8B8A8_UNORM:
    case VIRTIO_GPU_FORMAT_R8G8B8X8_UNORM:
      return 'exchange';
    case VIRTIO_GPU_FORMAT_A8B8G8R8_UNORM:
    case VIRTIO_GPU_FORMAT_X8B8G8R8_UNORM:
      return 'rotate';
    default:
      return null;
  }
}

/** Reorders `count` pixels at `offset` in place. */
export function reorder(order: PixelOrder, bytes: Uint8Array, offset: number, count: number): void {
  if (order === 'none') return;
  const at = bytes.byteOffset + offset;
  if (at % BYTES_PER_PIXEL === 0) {
    reorderWords(order, new Uint32Array(bytes.buffer, at, count), count);
    return;
  }
  // A sink whose message header is no multiple of four bytes: rare, so a copy will do.
  const end = offset + count * BYTES_PER_PIXEL;
  const aligned = bytes.slice(offset, end);
  reorderWords(order, new Uint32Array(aligned.buffer, aligned.byteOffset, count), count);
  bytes.set(aligned, offset);
}

/** Words are little-endian, as every host of this program is: the first byte in memory is the lowest. */
function reorderWords(order: PixelOrder, words: Uint32Array, count: number): void {
  if (order === 'reverse') {
    for (let i = 0; i < count; i++) {
      const word = words[i]!;
      words[i] = (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
    }
  } else if (order === 'exchange') {
    for (let i = 0; i < count; i++) {
      const word = words[i]!;
      words[i] = (word & 0xff00ff00) | ((word & 0xff) << 16) | ((word >>> 16) & 0xff);
    }
  } else {
    for (let i = 0; i < count; i++) {
      const word = words[i]!;
      words[i] = (word >>> 8) | (word << 24);
    }
  }
}
