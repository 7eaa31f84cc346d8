/** A 2D resource with its pixels in guest memory. */
import { type Box, BYTES_PER_PIXEL, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM } from '@oriel/gpu-blob';
import {
  encodeAttachBacking,
  encodeResourceCreate2d,
  encodeResourceFlush,
  encodeResourceUnref,
  encodeSetScanout,
  encodeTransferToHost2d,
} from '@oriel/gpu-blob/testing';
import type { GpuChannel } from './channel.ts';
import { GuestPages } from './guest-pages.ts';

/** How a surface is made. */
export interface SurfaceOptions {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** VIRTIO_GPU_FORMAT_*; default B8G8R8X8. */
  readonly format?: number;
  /** Bytes of each piece of its guest memory, a multiple of 4096; default all in one. */
  readonly pieceSize?: number;
}

/** Waits for each answer, and throws LoopbackError ERR_LOOPBACK_REFUSED with the `status`. */
export class GpuSurface {
  readonly resourceId: number;
  readonly width: number;
  readonly height: number;
  readonly pages: GuestPages;
  readonly #control: GpuChannel;

  constructor(control: GpuChannel, resourceId: number, options: SurfaceOptions) {
    const { width, height, format = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, pieceSize } = options;
    this.#control = control;
    this.resourceId = resourceId;
    this.width = width;
    this.height = height;
    control.must(encodeResourceCreate2d({ resourceId, format, width, height }));
    this.pages = new GuestPages(control.vm.ram, width * height * BYTES_PER_PIXEL, pieceSize);
    try {
      control.must(encodeAttachBacking({ resourceId, entries: this.pages.entries }));
    } catch (error) {
      this.pages.release();
      throw error;
    }
  }

  /** All of it. */
  get box(): Box {
    return { x: 0, y: 0, width: this.width, height: this.height };
  }

  /** Puts rows of pixels at (box.x, box.y) into guest memory, tight; the device does not see them before `transfer`. */
  draw(box: Box, pixels: Uint8Array): void {
    const row = box.width * BYTES_PER_PIXEL;
    for (let y = 0; y < box.height; y++) {
      this.pages.write(this.#offset(box.x, box.y + y), pixels.subarray(y * row, (y + 1) * row));
    }
  }

  /** TRANSFER_TO_HOST_2D of a part, as Linux sends it. */
  transfer(box = this.box): void {
    const offset = this.#offset(box.x, box.y);
    this.#control.must(encodeTransferToHost2d({ ...box, resourceId: this.resourceId, offset }));
  }

  show(scanoutId: number, box = this.box): void {
    this.#control.must(encodeSetScanout({ ...box, scanoutId, resourceId: this.resourceId }));
  }

  flush(box = this.box): void {
    this.#control.must(encodeResourceFlush({ ...box, resourceId: this.resourceId }));
  }

  unref(): void {
    this.#control.must(encodeResourceUnref(this.resourceId));
    this.pages.release();
  }

  #offset(x: number, y: number): number {
    return (y * this.width + x) * BYTES_PER_PIXEL;
  }
}
